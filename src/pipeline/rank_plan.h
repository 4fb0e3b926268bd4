#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "plan.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"

namespace sgpt_mi::pipeline {

/// Tells through events.plan() what several ranks send each other and, of a plan for ranks that are
/// not there, what they should take. Nothing of one rank.
void tell_ranks(const CompressRun& run, const PreparedRun& prepared, report::Events& events);

/// Operations of the matrix products of a compression, as they are counted for all ranks together:
/// "forward" and "H" in the walk's type, "OBS" in float32. Nothing where a selection leaves linears
/// out.
[[nodiscard]] std::map<std::string, double> counted_operations(const CompressRun& run,
                                                               const PreparedRun& prepared);

/// Bytes that the ranks of a run send each other while they compress, as they are counted; nothing
/// where what a run sends depends on what it finds, or a selection leaves linears out.
[[nodiscard]] std::optional<std::int64_t> planned_exchange(const CompressRun& run,
                                                           const PreparedRun& prepared);

}  // namespace sgpt_mi::pipeline
