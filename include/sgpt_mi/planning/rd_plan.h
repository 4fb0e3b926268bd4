#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/planning/linear_choice.h"
#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/plan_options.h"

namespace sgpt_mi::planning {

/// A choice for every linear.
struct RdPlan {
  std::string name;  ///< "uniform", "sparsity", "sparsity and widths" ...
  std::map<std::string, LinearChoice> linears;
  double predicted_damage = 0.0;  ///< sum of the measured damages
  double step = 0.0;              ///< of levels: obs::LevelOptions::step of all linears
  std::int64_t level_bits = 0;    ///< of levels: what all linears may take together
};

/// The plans that are worth comparing, the plainest first: all linears alike (where the target
/// allows that), sparsities planned, and widths planned as well, each only where it promises less
/// damage than the plainer ones by more than a prediction can be trusted.
///
/// Sparsities: every linear lies within goal.plan.sparsity_range of the target's sparsity, the
/// zeros of all linears together are floor(sparsity * weights), and of such choices the measured
/// damage is the least on a menu of hundredths (alloc::allocate). Widths: plan_measured_widths().
///
/// \param stored_bits  what a stored-size target leaves, bits a weight; empty: code bits count.
/// \param effort       of the allocations.
/// \throws Error(kUsage) a target below what the narrowest widths take.
[[nodiscard]] std::vector<RdPlan> make_plans(const Measurements& measurements, const PlanGoal& goal,
                                             std::optional<double> stored_bits,
                                             const alloc::AllocateOptions& effort = {});

/// Refuses, before anything is measured, a target that the narrowest widths of these linears do not
/// reach, and combinations that cannot be planned. `linears` need no curves.
/// \throws Error(kUsage) naming the nearest possible target.
void require_plannable(const Measurements& linears, const PlanGoal& goal,
                       std::optional<double> stored_bits);

/// Orders plans by what they are predicted to do.
[[nodiscard]] bool least_damage_first(const RdPlan& a, const RdPlan& b);

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

/// What levels are predicted to do at some size.
struct LevelTarget {
  double stored_bits = 0.0;  ///< a weight
  double damage = 0.0;       ///< zeros as they come
  /// With half of the weights asked to be zeros; nothing where pruning was not measured.
  std::optional<double> damage_at_half;
};

/// From 1.5 to 6 stored bits a weight in steps of half a bit. Cost: one plan a target and sparsity;
/// milliseconds.
[[nodiscard]] std::vector<LevelTarget> level_targets(const Measurements& measurements,
                                                     const PlanGoal& goal);

/// What the types of all matrices that were measured can take together, and the damage then.
struct TypedSize {
  std::int64_t bits = 0;
  double damage = 0.0;
};

/// The best plans of block types for budgets from the least to the most bits in about thirty equal
/// steps of their logarithm, by bits, without repetitions. Cost: milliseconds.
[[nodiscard]] std::vector<TypedSize> typed_sizes(const Measurements& measurements);

}  // namespace sgpt_mi::planning
