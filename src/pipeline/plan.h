#pragma once

#include <cstdint>
#include <vector>

#include "memory_plan.h"
#include "session.h"
#include "sgpt_mi/eval/divergence.h"
#include "sgpt_mi/pipeline/events.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/text/calibration.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::pipeline {

/// What a compression starts from once everything is checked. The parts belong to a Workbench.
struct PreparedRun {
  Session& session;
  const text::CalibrationSet& calibration;
  const std::vector<text::EvalSet>& eval_sets;
  std::int64_t selected_linears = 0;
  MemoryPlan memory = {};
  /// Of the dense model, one a set; null until it is scored.
  const std::vector<eval::FinalStates>* dense_states = nullptr;
};

/// Checks that the options fit the model and returns the number of linears they select.
/// Throws Error(kUsage).
[[nodiscard]] std::int64_t check_run(const CompressRun& run, const Session& session);

/// Tells through events.plan() what will be done, and through events.warning() when it needs more
/// memory than is free.
void tell_plan(const CompressRun& run, const PreparedRun& prepared, Events& events);

/// The memory of the run within what --max_memory allows, or what is free.
/// Throws Error(kUsage) when even the least plan is more than --max_memory.
[[nodiscard]] MemoryPlan plan_memory(const CompressRun& run, const PreparedRun& prepared);

}  // namespace sgpt_mi::pipeline
