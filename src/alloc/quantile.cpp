#include <algorithm>
#include <numeric>

#include "bit_curves.h"
#include "sgpt_mi/alloc/bit_plan.h"

namespace sgpt_mi::alloc {
namespace {

// The units from the most to the least important.
std::vector<std::size_t> by_importance(std::span<const Unit> units) {
  std::vector<std::size_t> order(units.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return units[a].importance > units[b].importance;
  });
  return order;
}

// Per unit the index of its level: where the middle of its weights falls among equal shares.
std::vector<std::uint16_t> equal_shares(std::span<const Unit> units,
                                        const std::vector<std::size_t>& order, std::size_t levels) {
  const auto share = static_cast<double>(total_weights(units)) / static_cast<double>(levels);
  std::vector<std::uint16_t> choice(units.size());
  double below = 0.0;
  for (auto unit = order.rbegin(); unit != order.rend(); ++unit) {
    const auto weights = static_cast<double>(units[*unit].weights);
    const auto level = static_cast<std::size_t>((below + weights / 2.0) / share);
    choice[*unit] = static_cast<std::uint16_t>(std::min(level, levels - 1));
    below += weights;
  }
  return choice;
}

void lower_to_budget(const CostCurves& curves, const std::vector<std::size_t>& order,
                     Selection& selection) {
  while (selection.remaining < 0) {
    for (auto unit = order.rbegin(); unit != order.rend() && selection.remaining < 0; ++unit) {
      std::uint16_t& choice = selection.choice[*unit];
      if (choice == 0) continue;
      const auto menu = curves[*unit];
      selection.remaining += menu[choice].cost - menu[choice - std::size_t{1}].cost;
      --choice;
    }
  }
}

void raise_to_budget(const CostCurves& curves, const std::vector<std::size_t>& order,
                     Selection& selection) {
  for (bool raised = true; raised;) {
    raised = false;
    for (const std::size_t unit : order) {
      std::uint16_t& choice = selection.choice[unit];
      const auto menu = curves[unit];
      if (choice + std::size_t{1} == menu.size()) continue;
      const std::int64_t step = menu[choice + std::size_t{1}].cost - menu[choice].cost;
      if (step > selection.remaining) continue;
      selection.remaining -= step;
      ++choice;
      raised = true;
    }
  }
}

}  // namespace

BitPlan plan_quantile(std::span<const Unit> units, const std::vector<int>& levels,
                      const BitTarget& target) {
  require_reachable(units, levels, target);
  check_importances(units);
  const std::vector<std::size_t> order = by_importance(units);
  Selection selection{equal_shares(units, order, levels.size()), 0};
  const CostCurves curves = bit_curves(units, levels, target.width_cost);
  selection.remaining = target.budget_bits - target.fixed_bits;
  for (std::size_t u = 0; u < units.size(); ++u) {
    selection.remaining -= curves[u][selection.choice[u]].cost;
  }
  lower_to_budget(curves, order, selection);
  raise_to_budget(curves, order, selection);
  if (selection.remaining >= curves.smallest_step()) {
    const AllocateOptions options;
    // At price 0 the units that matter least move, and the order of the others stays.
    exchange(curves, selection, {options.exchange_units, 0.0, true, false});
    raise_to_budget(curves, order, selection);
  }
  return plan_within(units, levels, target, curves, selection.choice);
}

}  // namespace sgpt_mi::alloc
