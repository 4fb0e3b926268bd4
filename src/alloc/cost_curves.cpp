#include "sgpt_mi/alloc/cost_curves.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::alloc {
namespace {

constexpr std::int64_t kMostCost = std::int64_t{1} << 62;  // sums and differences stay in int64
constexpr std::size_t kMostPoints = std::numeric_limits<std::uint16_t>::max();

void check_menu(std::span<const CurvePoint> menu, std::size_t unit) {
  if (menu.empty() || menu.size() > kMostPoints) {
    fail(ErrorKind::kInternal, "alloc: unit {} has a menu of {} entries; expected 1 to {}", unit,
         menu.size(), kMostPoints);
  }
  for (std::size_t i = 0; i < menu.size(); ++i) {
    const bool ordered = i == 0
                             ? menu[i].cost >= 0
                             : menu[i].cost > menu[i - 1].cost && menu[i].loss <= menu[i - 1].loss;
    if (!ordered || !std::isfinite(menu[i].loss)) {
      fail(ErrorKind::kInternal,
           "alloc: unit {} has cost {} and loss {} at entry {} of its menu; expected increasing "
           "costs from 0 up and finite losses that do not increase",
           unit, menu[i].cost, menu[i].loss, i);
    }
  }
}

}  // namespace

void CostCurves::reserve(std::size_t units, std::size_t points) {
  first_.reserve(units + 1);
  points_.reserve(points);
}

void CostCurves::add(std::span<const CurvePoint> menu) {
  check_menu(menu, units());
  if (menu.back().cost > kMostCost - range_.most) {
    fail(ErrorKind::kInternal, "alloc: the costs of {} units pass 2^62 bits", units() + 1);
  }
  range_.least += menu.front().cost;
  range_.most += menu.back().cost;
  for (std::size_t i = 1; i < menu.size(); ++i) {
    const std::int64_t step = menu[i].cost - menu[i - 1].cost;
    smallest_step_ = smallest_step_ == 0 ? step : std::min(smallest_step_, step);
  }
  points_.insert(points_.end(), menu.begin(), menu.end());
  first_.push_back(points_.size());
}

std::vector<std::size_t> undominated(std::span<const CurvePoint> points) {
  for (const CurvePoint& point : points) {
    if (!std::isfinite(point.loss)) {
      fail(ErrorKind::kInternal, "alloc: a loss is {}; expected finite losses", point.loss);
    }
  }
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a].cost != points[b].cost) return points[a].cost < points[b].cost;
    return points[a].loss < points[b].loss;
  });
  std::vector<std::size_t> kept;
  for (const std::size_t i : order) {
    if (kept.empty() || points[i].loss < points[kept.back()].loss) kept.push_back(i);
  }
  return kept;
}

}  // namespace sgpt_mi::alloc
