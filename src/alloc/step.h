#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "sgpt_mi/alloc/cost_curves.h"

namespace sgpt_mi::alloc {

/// A move of one unit to a costlier entry of its menu. 16 bytes: there may be ten million.
struct Step {
  double slope = 0.0;  ///< loss saved per bit, >= 0
  std::uint32_t unit = 0;
  std::uint16_t from = 0;
  std::uint16_t to = 0;
};

[[nodiscard]] inline Step step_of(const CostCurves& curves, std::size_t unit, std::size_t from,
                                  std::size_t to) {
  const auto menu = curves[unit];
  const auto cost = static_cast<double>(menu[to].cost - menu[from].cost);
  return {(menu[from].loss - menu[to].loss) / cost, static_cast<std::uint32_t>(unit),
          static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to)};
}

[[nodiscard]] inline std::int64_t cost_of(const CostCurves& curves, const Step& step) {
  const auto menu = curves[step.unit];
  return menu[step.to].cost - menu[step.from].cost;
}

/// By loss saved per bit, then by unit, then the shorter step: a total order of different steps.
[[nodiscard]] inline bool comes_before(const Step& a, const Step& b) {
  return std::tie(b.slope, a.unit, a.to) < std::tie(a.slope, b.unit, b.to);
}

}  // namespace sgpt_mi::alloc
