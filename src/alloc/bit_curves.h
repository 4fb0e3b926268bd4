#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "selection.h"
#include "sgpt_mi/alloc/bit_plan.h"

namespace sgpt_mi::alloc {

/// Throws Error(kNumeric) for an importance that is negative or not finite.
void check_importances(std::span<const Unit> units);

/// The weights of all units. Throws Error(kInternal) for no units or one without weights.
[[nodiscard]] std::int64_t total_weights(std::span<const Unit> units);

/// Throws Error(kUsage) unless the levels are 1 to 7 different widths from 2 to 8 in order.
void check_levels(const std::vector<int>& levels);

/// importance * weights * 4^-bits against the target's cost, one entry a level.
[[nodiscard]] CostCurves bit_curves(std::span<const Unit> units, const std::vector<int>& levels,
                                    const WidthCost& width_cost);

/// A plan from a width per unit, without target.
[[nodiscard]] BitPlan plan_of(std::span<const Unit> units, std::vector<int> bits);

/// A plan from an index into `levels` per unit, with the target's cost, and with a warning when the
/// budget is above the cost of the widest plan.
[[nodiscard]] BitPlan plan_within(std::span<const Unit> units, const std::vector<int>& levels,
                                  const BitTarget& target, const CostCurves& curves,
                                  const std::vector<std::uint16_t>& choice);

}  // namespace sgpt_mi::alloc
