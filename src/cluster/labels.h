#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/cluster/clustering.h"

namespace sgpt_mi::cluster {

using Labels = std::vector<std::int32_t>;

/// A square matrix between groups, row-major: element (g, h) at values[g * groups + h].
struct GroupMatrix {
  std::int64_t groups = 0;
  std::vector<double> values;

  [[nodiscard]] double& at(std::int64_t g, std::int64_t h) {
    return values[static_cast<std::size_t>(g * groups + h)];
  }
};

/// A label as an index.
inline std::size_t place(std::int32_t label) { return static_cast<std::size_t>(label); }

/// Renumbers the labels by the first channel of each group; numbers without channels disappear.
/// Returns the number of groups.
std::int64_t number_by_first_channel(Labels& labels);

/// Channels of every group.
[[nodiscard]] std::vector<std::int64_t> sizes_of(const Labels& labels, std::int64_t groups);

/// (N, K) float64 on the CPU: for every channel the sum of its affinities to each group. One
/// product of the (N, N) matrix with the groups' indicators.
[[nodiscard]] torch::Tensor affinity_to_groups(const torch::Tensor& affinity, const Labels& labels,
                                               std::int64_t groups);

/// Mean affinity between every two groups, the diagonal included.
[[nodiscard]] GroupMatrix mean_affinities(const torch::Tensor& affinity, const Labels& labels,
                                          std::int64_t groups);

/// Merges groups below `smallest` channels, the smallest first, into the one most similar to them,
/// the largest of equally similar ones, until none is left or all are one. Similarities of a merged
/// group are averages weighted by channels. Returns the number of merged groups.
std::int64_t merge_small_groups(Labels& labels, GroupMatrix similarity, std::int64_t smallest);

/// The result for these labels, numbered by first channel; unmeasured.
[[nodiscard]] Clustering make_clustering(Labels labels);

}  // namespace sgpt_mi::cluster
