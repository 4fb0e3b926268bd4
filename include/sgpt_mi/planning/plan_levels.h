#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sgpt_mi/planning/linear_choice.h"
#include "sgpt_mi/planning/rd_plan.h"

namespace sgpt_mi::planning {

/// Bits of a matrix of levels beside the levels themselves: a float16 number a row and a column.
[[nodiscard]] double side_bits(std::int64_t rows, std::int64_t columns);

/// A linear whose levels are to be chosen.
struct LevelDemand {
  const LevelCurve* curve = nullptr;
  double weights = 0.0;
  double side_bits = 0.0;
  double extra_bits = 0.0;  ///< a weight, that its levels take beyond the curve
};

/// Bits of its levels at a step: linear in log2 of the step between the measured ones, one bit more
/// for each halving below them, and ever fewer above.
[[nodiscard]] double bits_at(const LevelDemand& demand, double step);

/// The step with which all demands together take so many bits: bisection.
[[nodiscard]] double step_for(const std::vector<LevelDemand>& demands, double bits);

/// Gives choices, whose sparsities are made, one step for all linears, with which they take
/// `stored_bits` a weight: plan.step, plan.level_bits, plan.predicted_damage, and the damage of
/// each. \param ends  choices of Measurements::ends; with them these matrices count in the budget.
void plan_levels(const Measurements& measurements, double stored_bits, Choices& choices,
                 std::optional<Choices>& ends, RdPlan& plan);

/// The stored bits a weight that codes of the target's average width would take, at the goal's
/// sparsity: what a target in code bits leaves for levels.
[[nodiscard]] double stored_bits_of_codes(const Measurements& measurements, const PlanGoal& goal);

}  // namespace sgpt_mi::planning
