#pragma once

#include <cstdint>

#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::planning {

/// The types of all linears that do the least measured damage (LinearCurves::types) within so many
/// stored bits a weight; without a limit the fixed ones. Sparsities are those of the goal.
/// \throws Error(kUsage) a budget below what the smallest types take: the message names the least.
[[nodiscard]] RdPlan plan_types(const Measurements& measurements, const PlanGoal& goal,
                                std::optional<double> stored_bits);

/// Refuses, before anything is measured, rows that no block divides, and a target below what the
/// smallest types take. `linears` need no curves.
/// \throws Error(kUsage) naming the linear, or the nearest possible target.
void require_types(const Measurements& linears, const TypeOptions& types,
                   std::optional<double> stored_bits);

}  // namespace sgpt_mi::planning
