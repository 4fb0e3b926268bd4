#pragma once

#include <ATen/ops/stack.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "sgpt_mi/mi/gaussian.h"
#include "support/random_tensor.h"

namespace sgpt_mi::mi::test {

/// The sums that calibration keeps of x (T, N).
struct Sums {
  torch::Tensor second_moment;
  torch::Tensor channel;
  std::int64_t tokens = 0;
};

/// The second moment is formed in float64 and rounded once.
inline Sums sums_of(const torch::Tensor& x) {
  const torch::Tensor wide = x.to(torch::kFloat64);
  return {wide.t().matmul(wide).to(torch::kFloat32), wide.sum(0), x.size(0)};
}

inline MiMatrix gaussian_of(const torch::Tensor& x, bool with_nats = false) {
  const Sums sums = sums_of(x);
  return gaussian_mi(sums.second_moment, sums.channel, sums.tokens, with_nats);
}

/// (T, N): channels 0 and 1, 2 and 3, ... are pairs of standard normals with correlation rho;
/// different pairs are independent.
inline torch::Tensor normal_pairs(std::int64_t tokens, std::int64_t pairs, double rho,
                                  std::uint64_t seed) {
  torch::Tensor x = sgpt_mi::test::normal(tokens, 2 * pairs, seed).to(torch::kFloat64);
  for (std::int64_t p = 0; p < pairs; ++p) {
    const torch::Tensor first = x.select(1, 2 * p);
    torch::Tensor second = x.select(1, 2 * p + 1);
    second.mul_(std::sqrt(1.0 - rho * rho)).add_(first, rho);
  }
  return x.to(torch::kFloat32);
}

/// Mean of the entries (2 p, 2 p + 1).
inline double mean_of_pairs(const torch::Tensor& matrix) {
  double sum = 0.0;
  const std::int64_t pairs = matrix.size(0) / 2;
  for (std::int64_t p = 0; p < pairs; ++p) {
    sum += static_cast<double>(matrix[2 * p][2 * p + 1].item<float>());
  }
  return sum / static_cast<double>(pairs);
}

/// Mean of all entries between different pairs.
inline double mean_between_pairs(const torch::Tensor& matrix) {
  const auto n = static_cast<double>(matrix.size(0));
  const double all = matrix.to(torch::kFloat64).sum().item<double>();
  return (all - n * mean_of_pairs(matrix)) / (n * (n - 2.0));
}

/// -1/2 ln(1 - rho^2), nats.
inline double normal_nats(double rho) { return -0.5 * std::log1p(-rho * rho); }

inline torch::Tensor columns(const std::vector<torch::Tensor>& channels) {
  return at::stack(channels, 1).to(torch::kFloat32);
}

}  // namespace sgpt_mi::mi::test
