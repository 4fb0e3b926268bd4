#pragma once

#include <ATen/ops/empty.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/core/python_random.h"

namespace sgpt_mi::cluster {

/// Indices of points in an order that depends on the points and not on their numbers, so that
/// random draws follow a permutation of the points.
using DrawOrder = std::vector<std::int64_t>;

/// Uniform in [0, 1), 53 bits.
inline double uniform(PythonRandom& random) {
  return static_cast<double>(random.getrandbits(53)) * 0x1p-53;
}

/// (n, columns) float64, uniform in [-1, 1); rows are drawn in the given order.
inline torch::Tensor random_block(const DrawOrder& order, std::int64_t columns,
                                  PythonRandom& random) {
  const auto rows = static_cast<std::int64_t>(order.size());
  torch::Tensor block = at::empty({rows, columns}, torch::kFloat64);
  double* values = block.data_ptr<double>();
  for (const std::int64_t row : order) {
    for (std::int64_t c = 0; c < columns; ++c) {
      values[row * columns + c] = 2.0 * uniform(random) - 1.0;
    }
  }
  return block;
}

}  // namespace sgpt_mi::cluster
