#pragma once

#include <optional>
#include <vector>

#include "sgpt_mi/planning/linear_choice.h"
#include "sgpt_mi/planning/plan_options.h"

namespace sgpt_mi::planning {

/// The widths that plan_measured_widths() may choose: the levels next to the targets', or all where
/// the target counts what is stored.
[[nodiscard]] std::vector<int> plannable_widths(const PlanOptions& options);

/// How a budget of widths is counted and searched.
struct WidthBudget {
  std::optional<double>
      stored_bits;  ///< a weight, what a stored-size target leaves; else code bits
  alloc::AllocateOptions effort = {};
};

/// Fills unit_bits and grid_columns: the least measured damage within one budget for all linears of
/// equal target. Of code bits the kept weights' share is capped too, at that of equal widths, so
/// that a plan never takes more on disk than they do. Where stored bits count, grids of groups of
/// columns are on the menu if they were measured.
/// \throws Error(kUsage) a target below what the narrowest widths take.
void plan_measured_widths(const Measurements& measurements, const PlanGoal& goal,
                          const WidthBudget& budget, Choices& choices);

}  // namespace sgpt_mi::planning
