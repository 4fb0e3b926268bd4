#pragma once

#include <torch/types.h>

#include <cstdint>

#include "labels.h"
#include "random_stream.h"

namespace sgpt_mi::cluster {

/// Points and how they are to be grouped.
struct KMeansProblem {
  torch::Tensor points;        ///< (n, d) float64, contiguous, CPU
  DrawOrder order;             ///< of the n points, for the random draws
  std::int64_t groups = 1;     ///< 1 .. n
  std::int64_t restarts = 10;  ///< the one with the least inertia counts, the first of equal ones
};

struct KMeansResult {
  Labels labels;          ///< every group has a point
  torch::Tensor centers;  ///< (groups, d) float64: means of the groups
  double inertia = 0.0;   ///< sum of squared distances to the centres
};

/// Lloyd's iterations to a fixed point from k-means++ seeds (Arthur & Vassilvitskii 2007), in
/// float64. A group that loses all its points takes the point farthest from its centre.
///
/// Cost per iteration: one product (n, d) x (d, groups).
[[nodiscard]] KMeansResult kmeans(const KMeansProblem& problem, PythonRandom& random);

}  // namespace sgpt_mi::cluster
