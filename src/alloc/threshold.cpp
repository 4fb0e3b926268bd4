#include <cmath>
#include <utility>

#include "bit_curves.h"
#include "sgpt_mi/alloc/bit_plan.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::alloc {
namespace {

int width_for(const ThresholdRule& rule, double importance) {
  for (const ThresholdStep& step : rule.steps) {
    if (importance > step.bound || (step.or_equal && importance == step.bound)) return step.bits;
  }
  return rule.lowest_bits;
}

}  // namespace

void ThresholdRule::validate() const {
  const auto in_range = [](int bits) { return bits >= 2 && bits <= 8; };
  if (!in_range(lowest_bits)) {
    fail(ErrorKind::kUsage, "alloc: the lowest width is {}; expected 2 to 8 bits", lowest_bits);
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!in_range(steps[i].bits)) {
      fail(ErrorKind::kUsage, "alloc: threshold {} leads to {} bits; expected 2 to 8",
           steps[i].bound, steps[i].bits);
    }
    const bool below = i == 0 || steps[i].bound < steps[i - 1].bound;
    if (!std::isfinite(steps[i].bound) || !below) {
      fail(ErrorKind::kUsage,
           "alloc: threshold {} is {}; expected finite thresholds from the highest to the lowest",
           i + 1, steps[i].bound);
    }
  }
}

ThresholdRule importance_thresholds(const std::vector<double>& bounds,
                                    const std::vector<int>& levels) {
  check_levels(levels);
  if (bounds.size() + 1 != levels.size()) {
    fail(ErrorKind::kUsage,
         "alloc: {} thresholds for {} widths; expected one threshold fewer than widths",
         bounds.size(), levels.size());
  }
  ThresholdRule rule;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    rule.steps.push_back({bounds[i], levels[levels.size() - 1 - i], false});
  }
  rule.lowest_bits = levels.front();
  rule.validate();
  return rule;
}

ThresholdRule contribution_thresholds(double high, double low) {
  ThresholdRule rule{{{high, 8, false}, {low, 4, true}}, 2};
  rule.validate();
  return rule;
}

BitPlan plan_threshold(std::span<const Unit> units, const ThresholdRule& rule) {
  rule.validate();
  check_importances(units);
  std::vector<int> bits;
  bits.reserve(units.size());
  for (const Unit& unit : units) bits.push_back(width_for(rule, unit.importance));
  return plan_of(units, std::move(bits));
}

}  // namespace sgpt_mi::alloc
