#include "sgpt_mi/walk/shared_linears.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <set>

namespace sgpt_mi::walk {
namespace {

/// What a rank has been given.
struct Load {
  double cost = 0.0;
  std::set<model::Site> sites;

  [[nodiscard]] double with(const model::LinearInfo& linear) const {
    const auto rows = static_cast<double>(linear.rows);
    const auto columns = static_cast<double>(linear.columns);
    const double factor = sites.contains(linear.site) ? 0.0 : 2.0 / 3.0 * columns;
    return cost + (rows + factor) * columns * columns;
  }
};

}  // namespace

std::vector<int> share_linears(const std::vector<model::LinearInfo>& linears, int ranks) {
  std::vector<std::size_t> order(linears.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return Load().with(linears[a]) > Load().with(linears[b]);
  });
  std::vector<Load> loads(static_cast<std::size_t>(ranks));
  std::vector<int> rank_of(linears.size());
  for (const std::size_t index : order) {
    const model::LinearInfo& linear = linears[index];
    const auto best = std::min_element(
        loads.begin(), loads.end(),
        [&](const Load& a, const Load& b) { return a.with(linear) < b.with(linear); });
    best->cost = best->with(linear);
    best->sites.insert(linear.site);
    rank_of[index] = static_cast<int>(best - loads.begin());
  }
  return rank_of;
}

bool share_rows(const std::vector<model::LinearInfo>& linears, int ranks,
                std::int64_t product_rows) {
  const auto count = static_cast<std::size_t>(ranks);
  if (ranks == 1 || product_rows == 0 || linears.empty()) return false;
  if (linears.size() > 1 && linears.size() >= count) return false;
  return std::all_of(linears.begin(), linears.end(), [&](const model::LinearInfo& linear) {
    return linear.rows > (ranks - 1) * product_rows;
  });
}

}  // namespace sgpt_mi::walk
