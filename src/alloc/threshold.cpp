#include <algorithm>
#include <cmath>
#include <limits>

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

// The smallest gap between widths of the rule; 0 when there is only one.
int smallest_gap(const ThresholdRule& rule) {
  std::vector<int> widths{rule.lowest_bits};
  for (const ThresholdStep& step : rule.steps) widths.push_back(step.bits);
  std::sort(widths.begin(), widths.end());
  int gap = 0;
  for (std::size_t i = 1; i < widths.size(); ++i) {
    const int difference = widths[i] - widths[i - 1];
    if (difference > 0 && (gap == 0 || difference < gap)) gap = difference;
  }
  return gap;
}

bool keeps_target(const BitPlan& plan, std::span<const Unit> units, const ThresholdRule& rule,
                  double target) {
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  for (const Unit& unit : units) smallest = std::min(smallest, unit.weights);
  const double shortfall = (target - plan.average_bits) * static_cast<double>(plan.weights);
  return shortfall >= 0.0 && shortfall < static_cast<double>(smallest * smallest_gap(rule));
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

BitPlan plan_threshold(std::span<const Unit> units, const ThresholdRule& rule,
                       std::optional<double> target_average_bits) {
  rule.validate();
  check_importances(units);
  std::vector<int> bits;
  bits.reserve(units.size());
  for (const Unit& unit : units) bits.push_back(width_for(rule, unit.importance));
  BitPlan plan = plan_of(units, std::move(bits));
  if (target_average_bits && !keeps_target(plan, units, rule, *target_average_bits)) {
    plan.warning = fmt::format(
        "alloc: the thresholds give {:.4f} bits a weight, the target is {:.4f}; thresholds keep no "
        "budget, every other allocation does",
        plan.average_bits, *target_average_bits);
  }
  if (target_average_bits) plan.budget_bits = budget_bits_of(*target_average_bits, plan.weights);
  return plan;
}

}  // namespace sgpt_mi::alloc
