#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "labels.h"

namespace sgpt_mi::cluster {

/// Two clusters become one.
struct Merge {
  std::int32_t first = 0;   ///< a member of the one
  std::int32_t second = 0;  ///< a member of the other
  float height = 0.0F;      ///< mean distance between them
};

/// The n - 1 merges of average linkage, by height ascending.
///
/// Nearest-neighbour chains (Muellner 2011, arXiv 1109.2378, section 3.1) with the update of Lance
/// & Williams, d(k, i + j) = (n_i d(k, i) + n_j d(k, j)) / (n_i + n_j), in float64, kept in
/// float32.
///
/// \param distance  (n, n) float32, symmetric, finite, contiguous, CPU; overwritten.
/// Cost: O(n^2) time, no memory beyond the matrix.
[[nodiscard]] std::vector<Merge> average_linkage(const torch::Tensor& distance);

/// Labels at the level with the fewest clusters of which at least `groups` have `smallest` members;
/// where no level has as many, at the last level with the most.
[[nodiscard]] Labels cut_tree(const std::vector<Merge>& merges, std::int64_t groups,
                              std::int64_t smallest);

}  // namespace sgpt_mi::cluster
