#pragma once

#include <cstdint>
#include <span>

#include "sgpt_mi/cluster/clustering.h"

namespace sgpt_mi::cluster {

// Groupings that need no affinity, to compare clusters with. Each cuts an order of the N channels
// into K runs whose sizes differ by at most one, the longer ones first; label 0 is the first run.
// silhouette and mean_affinity are 0 until measure() is called.
//
// All throw Error(kUsage) unless 1 <= groups <= N.

/// Runs of neighbouring channels.
[[nodiscard]] Clustering contiguous_groups(std::int64_t channels, std::int64_t groups);

/// Runs of the channels sorted by key, largest first; equal keys by channel. With the diagonal of H
/// as keys this is the grouping `hessian`.
/// \throws Error(kNumeric) naming the channel: a key that is NaN.
[[nodiscard]] Clustering sorted_groups(std::span<const double> keys, std::int64_t groups);

/// Runs of a random order: Fisher-Yates shuffle by the generator of CPython.
[[nodiscard]] Clustering random_groups(std::int64_t channels, std::int64_t groups,
                                       std::uint64_t seed);

}  // namespace sgpt_mi::cluster
