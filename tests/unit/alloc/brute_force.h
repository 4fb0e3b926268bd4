#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "sgpt_mi/alloc/cost_curves.h"

namespace sgpt_mi::alloc {

/// One complete choice.
struct Choice {
  std::vector<std::uint16_t> entries;
  std::int64_t cost = 0;
  double loss = 0.0;
};

inline Choice priced(const CostCurves& curves, const std::vector<std::uint16_t>& entries) {
  Choice choice{entries, 0, 0.0};
  for (std::size_t u = 0; u < curves.units(); ++u) {
    choice.cost += curves[u][entries[u]].cost;
    choice.loss += curves[u][entries[u]].loss;
  }
  return choice;
}

/// Every choice there is: for a handful of units.
inline std::vector<Choice> all_choices(const CostCurves& curves) {
  std::vector<Choice> all;
  std::vector<std::uint16_t> entries(curves.units(), 0);
  for (;;) {
    all.push_back(priced(curves, entries));
    std::size_t u = 0;
    while (u < curves.units() && ++entries[u] == curves[u].size()) entries[u++] = 0;
    if (u == curves.units()) return all;
  }
}

/// The least loss of the choices with a cost in (above, most]; infinity when there is none.
inline double least_loss(const std::vector<Choice>& choices, std::int64_t above,
                         std::int64_t most) {
  double least = std::numeric_limits<double>::infinity();
  for (const Choice& choice : choices) {
    if (choice.cost > above && choice.cost <= most) least = std::min(least, choice.loss);
  }
  return least;
}

/// The greatest cost within the budget that any choice has: by marking the sums, so that tens of
/// units with small costs are no trouble.
inline std::int64_t greatest_cost(const CostCurves& curves, std::int64_t budget) {
  std::vector<bool> reached(static_cast<std::size_t>(budget) + 1);
  reached[0] = true;
  for (std::size_t u = 0; u < curves.units(); ++u) {
    std::vector<bool> next(reached.size());
    for (const CurvePoint& point : curves[u]) {
      const auto cost = static_cast<std::size_t>(point.cost);
      for (std::size_t sum = cost; sum < reached.size(); ++sum) {
        if (reached[sum - cost]) next[sum] = true;
      }
    }
    reached = std::move(next);
  }
  std::int64_t greatest = budget;
  while (greatest >= 0 && !reached[static_cast<std::size_t>(greatest)]) --greatest;
  return greatest;
}

/// Whether some unit's next entry costs no more than `remaining`.
inline bool some_step_fits(const CostCurves& curves, const std::vector<std::uint16_t>& entries,
                           std::int64_t remaining) {
  for (std::size_t u = 0; u < curves.units(); ++u) {
    const auto menu = curves[u];
    const std::size_t next = entries[u] + std::size_t{1};
    if (next < menu.size() && menu[next].cost - menu[entries[u]].cost <= remaining) return true;
  }
  return false;
}

/// An integer in [low, high], the same from every standard library.
inline std::int64_t draw(std::mt19937& engine, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(high - low + 1));
}

/// A double in (0, 1).
inline double draw_share(std::mt19937& engine) {
  return (static_cast<double>(engine()) + 0.5) / 4294967296.0;
}

/// 1 to `most_units` menus of 1 to `most_points` entries, with steps of 1 to at most `longest_step`
/// bits and falls of the loss below 1, some of them none; at least one unit has a choice.
inline CostCurves random_curves(std::mt19937& engine, std::int64_t most_units,
                                std::int64_t most_points, std::int64_t longest_step) {
  const std::int64_t units = draw(engine, 1, most_units);
  const std::int64_t longest = draw(engine, 1, longest_step);
  CostCurves curves;
  for (std::int64_t u = 0; u < units; ++u) {
    std::vector<CurvePoint> menu{{draw(engine, 0, longest), 0.0}};
    for (std::int64_t i = draw(engine, u == 0 ? 2 : 1, most_points); i > 1; --i) {
      const double fall = draw(engine, 0, 5) == 0 ? 0.0 : draw_share(engine);
      menu.push_back({menu.back().cost + draw(engine, 1, longest), menu.back().loss - fall});
    }
    curves.add(menu);
  }
  return curves;
}

}  // namespace sgpt_mi::alloc
