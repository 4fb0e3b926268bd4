#pragma once

#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::compress {

/// The plan of least KL(dense || compressed) on calibration windows that measured nothing.
///
/// Every plan is tried by a plain compression (the measured windows, no descents, no drift
/// correction) whose result is scored on the last settings.plan->check_windows windows; a plan must
/// be better than the plainer ones before it by 2 %. With one plan, or too few windows to
/// hold some out, nothing is compressed, and the plan of least predicted damage is taken.
///
/// Every rank tries other plans, each with all of the windows.
///
/// Cost: a plan takes about two forward passes of the measured windows. Memory: the compressed
/// weights of one plan in the checkpoint's types, the final states of the held-out windows.
[[nodiscard]] planning::RdPlan choose_plan(const BlockRun& run,
                                           std::vector<planning::RdPlan> plans);

}  // namespace sgpt_mi::compress
