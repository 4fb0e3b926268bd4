#include "sgpt_mi/cluster/controls.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "labels.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/python_random.h"

namespace sgpt_mi::cluster {
namespace {

std::vector<std::size_t> natural_order(std::int64_t channels) {
  std::vector<std::size_t> order(static_cast<std::size_t>(std::max<std::int64_t>(channels, 0)));
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

Clustering cut_into_runs(const std::vector<std::size_t>& order, std::int64_t groups) {
  const auto channels = static_cast<std::int64_t>(order.size());
  if (groups < 1 || groups > channels) {
    fail(ErrorKind::kUsage, "cluster: {} groups for {} channels; expected 1 to {}; ask for fewer",
         groups, channels, channels);
  }
  Clustering result;
  result.groups = groups;
  result.labels.resize(order.size());
  result.mean_affinity.assign(static_cast<std::size_t>(groups), 0.0);
  auto next = order.begin();
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t size = channels / groups + (g < channels % groups ? 1 : 0);
    result.sizes.push_back(size);
    for (std::int64_t i = 0; i < size; ++i) result.labels[*next++] = static_cast<std::int32_t>(g);
  }
  return result;
}

}  // namespace

Clustering contiguous_groups(std::int64_t channels, std::int64_t groups) {
  return cut_into_runs(natural_order(channels), groups);
}

Clustering sorted_groups(std::span<const double> keys, std::int64_t groups) {
  std::vector<std::size_t> order = natural_order(static_cast<std::int64_t>(keys.size()));
  for (const std::size_t channel : order) {
    if (!std::isnan(keys[channel])) continue;
    fail(ErrorKind::kNumeric,
         "cluster: the key of channel {} is NaN; expected a number; check the calibration "
         "statistics",
         channel);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
  return cut_into_runs(order, groups);
}

Clustering random_groups(std::int64_t channels, std::int64_t groups, std::uint64_t seed) {
  std::vector<std::size_t> order = natural_order(channels);
  PythonRandom random(seed);
  for (std::size_t last = order.size(); last > 1; --last) {
    const auto draw = random.randint(0, static_cast<std::int64_t>(last) - 1);
    std::swap(order[last - 1], order[static_cast<std::size_t>(draw)]);
  }
  return cut_into_runs(order, groups);
}

}  // namespace sgpt_mi::cluster
