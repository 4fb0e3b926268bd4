#pragma once

#include <vector>

#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/plan_options.h"

namespace sgpt_mi::planning {

/// One target that can be had.
struct PlanPoint {
  double sparsity = 0.0;
  double code_bits = 0.0;    ///< average
  double stored_bits = 0.0;  ///< a weight, everything in the packed file
  double damage = 0.0;       ///< as predicted, see Measurements
};

/// The targets of a grid (sparsities in steps of 5 %, widths in steps of half a bit) that no other
/// target of it beats in both stored bits and predicted damage, by stored bits.
/// Cost: one plan a target; milliseconds.
[[nodiscard]] std::vector<PlanPoint> pareto_targets(const Measurements& measurements,
                                                    const PlanGoal& goal);

}  // namespace sgpt_mi::planning
