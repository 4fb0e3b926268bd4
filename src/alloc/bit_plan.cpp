#include "sgpt_mi/alloc/bit_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "bit_curves.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::alloc {
namespace {

// 2^53: up to here a number of bits is exact as a double.
constexpr double kMostBits = 9007199254740992.0;

std::int64_t bytes_of(std::int64_t bits) { return bits / 8 + (bits % 8 == 0 ? 0 : 1); }

double per_weight(std::int64_t bits, std::int64_t weights) {
  return static_cast<double>(bits) / static_cast<double>(weights);
}

[[noreturn]] void refuse(const BitTarget& target, std::int64_t least, std::int64_t weights) {
  // Rounded up, so that the number shown is accepted when it is typed in.
  const double nearest = std::ceil(per_weight(least, weights) * 1e4) / 1e4;
  fail(ErrorKind::kUsage,
       "alloc: the target is {:.4f} bits a weight ({} bytes), below the narrowest plan; the "
       "nearest possible target is {} bits a weight ({} bytes)",
       per_weight(target.budget_bits, weights), bytes_of(target.budget_bits), nearest,
       bytes_of(least));
}

}  // namespace

std::int64_t budget_bits_of(double bits_per_weight, std::int64_t weights) {
  const double product = bits_per_weight * static_cast<double>(weights);
  if (!(bits_per_weight >= 0.0 && product < kMostBits)) {
    fail(ErrorKind::kUsage, "alloc: the target is {} bits a weight; expected a number from 2 to 8",
         bits_per_weight);
  }
  // The product is rounded: the neighbours decide.
  auto bits = static_cast<std::int64_t>(std::floor(product)) + 1;
  while (bits > 0 && per_weight(bits, weights) > bits_per_weight) --bits;
  return bits;
}

void check_importances(std::span<const Unit> units) {
  for (std::size_t u = 0; u < units.size(); ++u) {
    if (std::isfinite(units[u].importance) && units[u].importance >= 0.0) continue;
    fail(ErrorKind::kNumeric,
         "alloc: unit {} has importance {}; expected a finite number, 0 or more; look for "
         "activations that are not finite",
         u, units[u].importance);
  }
}

std::int64_t total_weights(std::span<const Unit> units) {
  ensure(!units.empty(), "alloc: a plan for no units");
  std::int64_t sum = 0;
  for (const Unit& unit : units) {
    ensure(unit.weights > 0, "alloc: a unit without weights");
    sum += unit.weights;
  }
  return sum;
}

void check_levels(const std::vector<int>& levels) {
  const bool in_order =
      std::adjacent_find(levels.begin(), levels.end(), std::greater_equal<>()) == levels.end();
  if (!levels.empty() && in_order && levels.front() >= 2 && levels.back() <= 8) return;
  fail(ErrorKind::kUsage,
       "alloc: the levels are [{}]; expected different widths from 2 to 8 in "
       "increasing order",
       fmt::join(levels, ", "));
}

CostCurves bit_curves(std::span<const Unit> units, const std::vector<int>& levels,
                      const WidthCost& width_cost) {
  CostCurves curves;
  curves.reserve(units.size(), units.size() * levels.size());
  std::vector<CurvePoint> menu(levels.size());
  for (std::size_t u = 0; u < units.size(); ++u) {
    const double loss = units[u].importance * static_cast<double>(units[u].weights);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      menu[i].cost = width_cost ? width_cost(u, levels[i]) : units[u].weights * levels[i];
      menu[i].loss = std::ldexp(loss, -2 * levels[i]);
    }
    curves.add(menu);
  }
  return curves;
}

CostRange require_reachable(std::span<const Unit> units, const std::vector<int>& levels,
                            const BitTarget& target) {
  check_levels(levels);
  const std::int64_t weights = total_weights(units);
  const auto cost = [&](std::size_t u, int bits) {
    return target.width_cost ? target.width_cost(u, bits) : units[u].weights * bits;
  };
  CostRange range{target.fixed_bits, target.fixed_bits};
  for (std::size_t u = 0; u < units.size(); ++u) {
    range.least += cost(u, levels.front());
    range.most += cost(u, levels.back());
  }
  if (target.budget_bits < range.least) refuse(target, range.least, weights);
  return range;
}

BitPlan plan_of(std::span<const Unit> units, std::vector<int> bits) {
  BitPlan plan;
  plan.weights = total_weights(units);
  for (std::size_t u = 0; u < units.size(); ++u) plan.cost_bits += units[u].weights * bits[u];
  plan.average_bits = per_weight(plan.cost_bits, plan.weights);
  plan.bits = std::move(bits);
  return plan;
}

BitPlan plan_within(std::span<const Unit> units, const std::vector<int>& levels,
                    const BitTarget& target, const CostCurves& curves,
                    const std::vector<std::uint16_t>& choice) {
  std::vector<int> bits(units.size());
  std::int64_t cost = target.fixed_bits;
  for (std::size_t u = 0; u < units.size(); ++u) {
    bits[u] = levels[choice[u]];
    cost += curves[u][choice[u]].cost;
  }
  BitPlan plan = plan_of(units, std::move(bits));
  plan.cost_bits = cost;
  const std::int64_t most = target.fixed_bits + curves.range().most;
  if (target.budget_bits > most) {
    plan.warning = fmt::format(
        "alloc: the target is {:.4f} bits a weight ({} bytes); the widest plan takes only {:.4f} "
        "({} bytes): every unit has {} bits",
        per_weight(target.budget_bits, plan.weights), bytes_of(target.budget_bits),
        per_weight(most, plan.weights), bytes_of(most), levels.back());
  }
  return plan;
}

BitPlan plan_budget(std::span<const Unit> units, const std::vector<int>& levels,
                    const BitTarget& target) {
  require_reachable(units, levels, target);
  check_importances(units);
  const CostCurves curves = bit_curves(units, levels, target.width_cost);
  AllocateOptions options;
  options.fixed_cost = target.fixed_bits;
  const Allocation allocation = allocate(curves, target.budget_bits, options);
  return plan_within(units, levels, target, curves, allocation.choice);
}

}  // namespace sgpt_mi::alloc
