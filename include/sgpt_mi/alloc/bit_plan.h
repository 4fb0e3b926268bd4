#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/alloc/allocate.h"
#include "sgpt_mi/alloc/cost_curves.h"

namespace sgpt_mi::alloc {

/// What gets one width: a group of columns of a matrix, or one input channel.
struct Unit {
  std::int64_t weights = 0;  ///< rows times columns, at least 1
  double importance = 0.0;   ///< >= 0; only comparisons and ratios matter, except to thresholds
};

/// The widths that the methods choose from unless told otherwise.
inline const std::vector<int> kDefaultLevels{2, 3, 4, 6, 8};

/// Bits that a unit takes at a width.
using WidthCost = std::function<std::int64_t(std::size_t unit, int bits)>;

/// What a plan may spend: a hard cap.
///
///     fixed_bits + sum_u width_cost(u, bits_u) <= budget_bits
///
/// --target_avg_bits: budget_bits_of(target, weights) and nothing else: code bits alone are
/// counted.
/// --target_stored_bits: the same budget, with fixed_bits and width_cost counting what is on disk.
/// --target_bytes: 8 * parse_bytes(), with the same two.
struct BitTarget {
  std::int64_t budget_bits = 0;
  std::int64_t fixed_bits = 0;  ///< spent whatever the widths: metadata, tensors that stay dense
  WidthCost width_cost;         ///< increasing in the width; empty: weights * bits
};

/// The greatest number of bits whose average over the weights, as a double, is not above the
/// target. \throws Error(kUsage) a target that is negative or not finite.
[[nodiscard]] std::int64_t budget_bits_of(double bits_per_weight, std::int64_t weights);

/// What the narrowest and the widest plan cost in the target's sense, fixed bits included. Reads no
/// importance, so it can be asked before anything is measured.
/// \throws Error(kUsage)    levels that are not 1 to 7 different widths from 2 to 8 in order.
/// \throws Error(kUsage)    a target below the narrowest plan; names the nearest possible target in
///                          bits a weight and in bytes.
/// \throws Error(kInternal) no units, or one without weights.
CostRange require_reachable(std::span<const Unit> units, const std::vector<int>& levels,
                            const BitTarget& target);

/// A width for every unit.
struct BitPlan {
  std::vector<int> bits;       ///< per unit
  std::int64_t weights = 0;    ///< of all units
  double average_bits = 0.0;   ///< code bits a weight: sum weights * bits / weights
  std::int64_t cost_bits = 0;  ///< in the target's sense; code bits without a target
  std::string warning;         ///< for the user; empty: nothing to say
};

/// One row of a threshold rule.
struct ThresholdStep {
  double bound = 0.0;
  int bits = 0;
  bool or_equal = false;  ///< whether an importance equal to the bound passes it
};

/// Widths by fixed bounds: the first step whose bound the importance passes, else lowest_bits.
struct ThresholdRule {
  std::vector<ThresholdStep> steps;  ///< bounds strictly decreasing, widths 2 to 8
  int lowest_bits = 2;

  /// Throws Error(kUsage) naming the step that is out of order or the width out of range.
  void validate() const;
};

/// > t1 -> widest level, > t2 -> the next ... else the narrowest: the rule of the scripts that the
/// method `mi` comes from. One bound fewer than levels, decreasing. Their milder set is 0.30, 0.20,
/// 0.10, 0.05.
/// \throws Error(kUsage) another number of bounds, bounds or levels out of order.
[[nodiscard]] ThresholdRule importance_thresholds(const std::vector<double>& bounds = {0.15, 0.10,
                                                                                       0.05, 0.02},
                                                  const std::vector<int>& levels = kDefaultLevels);

/// The three widths of `toky`: contribution > high -> 8, < low -> 2, else 4; equality gives 4.
/// \throws Error(kUsage) unless low < high.
[[nodiscard]] ThresholdRule contribution_thresholds(double high = 1.2, double low = 0.5);

/// Widths by a threshold rule. It knows no budget.
///
/// \throws Error(kNumeric)  an importance that is negative or not finite, with the unit's index.
/// \throws Error(kUsage)    ThresholdRule::validate().
[[nodiscard]] BitPlan plan_threshold(std::span<const Unit> units, const ThresholdRule& rule);

/// Equal shares of the weights, by importance, for each level: with five levels the least important
/// 20 % get the narrowest, and so on. A unit belongs where its middle weight falls. Of equal
/// importances the one with the lower index counts as more important.
///
/// The shares are only the start. Too costly: units lose one level each, the least
/// important first, in as many passes as it takes. Then units gain one level each where it fits,
/// the most important first, until none fits. Where still a smallest step or more remains, up to
/// AllocateOptions::exchange_units units (those that matter least in the sense of plan_budget) are
/// changed together so that less remains, if a combination exists. The guarantees on what remains
/// are those of allocate().
///
/// \throws as plan_threshold and require_reachable.
[[nodiscard]] BitPlan plan_quantile(std::span<const Unit> units, const std::vector<int>& levels,
                                    const BitTarget& target);

/// The least total damage within the budget: allocate() on
///
///     loss_u(b) = importance_u * weights_u * 4^-b
///
/// Each bit halves the step of a uniform quantizer and so quarters the mean squared error step^2/12
/// (Gray & Neuhoff 1998, Quantization, IEEE Trans. Inf. Theory 44(6), section II). With it a unit
/// is one bit wider than another that is a quarter as important, and no unit pays for 8 bits while
/// others as important stay at 2. The literal "most important first, each up to the widest level"
/// leaves most units at the narrowest: it was measured to do 2.3 times the damage of uniform
/// widths.
///
/// A target above the widest plan gives the widest level everywhere and a warning.
///
/// \throws as plan_threshold and require_reachable.
[[nodiscard]] BitPlan plan_budget(std::span<const Unit> units, const std::vector<int>& levels,
                                  const BitTarget& target);

}  // namespace sgpt_mi::alloc
