#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/alloc/cost_curves.h"

namespace sgpt_mi::alloc {

/// Settings of allocate().
struct AllocateOptions {
  /// Bits that are spent whatever is chosen: headers, norms, embeddings. >= 0.
  std::int64_t fixed_cost = 0;

  /// Whether a choice that leaves less than one smallest step goes before one of less loss. Among
  /// twenty units or more the price is small (in 600 random problems of twenty, 1.12 times the
  /// least loss at worst); a handful of units may have only one such choice, and a bad one. false:
  /// the least loss that is found, whatever remains.
  bool close = true;

  /// How many units the final exchange may change together; 0: no exchange. At most 1024.
  std::int64_t exchange_units = 48;
};

/// A choice for every unit.
struct Allocation {
  std::vector<std::uint16_t> choice;  ///< per unit, the index into its menu
  std::int64_t cost = 0;              ///< bits, fixed_cost included; never above the budget
  double loss = 0.0;                  ///< sum over the units
  double loss_bound = 0.0;            ///< no choice within the budget has a smaller loss
};

/// One menu entry per unit that minimises the total loss within a hard budget.
///
///     minimise sum_u loss_u(c_u)   subject to   fixed_cost + sum_u cost_u(c_u) <= budget
///
/// (The multiple-choice knapsack problem: Kellerer, Pferschy & Pisinger, Knapsack Problems, 2004,
/// chapter 11.) Three steps:
/// 1. The lower convex hull of every menu; all units start at their first entry, and the hull
///    steps are taken by loss saved per bit, until one does not fit. This is the optimum of the
///    problem with a multiplier on the cost, and gives loss_bound (Shoham & Gersho 1988, IEEE
///    TASSP 36(9)); the loss passes the bound by at most what the step that did not fit would save.
/// 2. Steps of any length, on the hull or not, that fit into what remains, by loss saved per bit.
/// 3. A few units, those that lose least by moving at the multiplier's price, are changed together:
///    of the combinations that leave less than one smallest step, or of all that fit when there is
///    none, to the one of least loss (dynamic programming over sums of costs in two halves, then
///    the best pair; Horowitz & Sahni 1974, J. ACM 21(2)).
/// Ties go to the unit with the lower index; the result is a function of the input alone.
///
/// What holds, with R = budget - cost the bits that remain and g = curves.smallest_step():
/// * R >= 0.
/// * No unit's next entry fits: its step costs more than R. So unless every unit has its last
///   entry, R is below one step of the smallest unit that can still be raised.
/// * R < g where exchanges of step 3 reach it. They reach everything, so that R >= g means that no
///   choice at all has R < g, and the loss is the least of all choices with R < g, when the units
///   with two entries or more are at most exchange_units and their range of costs, divided by the
///   greatest common divisor of all steps, is below 2^16. Larger problems are searched
///   near the choice of step 2 only. Not every sum exists: units at 2, 3, 4, 6 or 8 bits cannot
///   leave one smallest step of the greatest cost, and a unit far smaller than the others cannot
///   make up for their steps when it is at its last entry.
/// Without options.close the third statement is about the loss alone: the least of all choices
/// within the budget, under the same conditions.
///
/// A budget above the greatest cost gives every unit its last entry.
///
/// Cost: O(points) expected, without a sort: 16 bytes a hull step.
///
/// \throws Error(kUsage) a budget below the least cost: the message names the least.
/// \throws Error(kInternal) 2^32 units or more.
[[nodiscard]] Allocation allocate(const CostCurves& curves, std::int64_t budget,
                                  const AllocateOptions& options = {});

}  // namespace sgpt_mi::alloc
