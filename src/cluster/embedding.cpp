#include "embedding.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>

namespace sgpt_mi::cluster {

DrawOrder order_by(const torch::Tensor& keys) {
  const torch::Tensor sorted = keys.contiguous();
  const double* key = sorted.data_ptr<double>();
  DrawOrder order(static_cast<std::size_t>(keys.size(0)));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return key[a] < key[b]; });
  return order;
}

Degrees degrees_of(const torch::Tensor& affinity) {
  Degrees result;
  result.value = at::mv(affinity, at::ones({affinity.size(0)}, affinity.options()))
                     .to(torch::kCPU, torch::kFloat64);
  const double* degree = result.value.data_ptr<double>();
  for (std::int64_t i = 0; i < result.value.size(0); ++i) {
    (degree[i] > 0.0 ? result.live : result.isolated).push_back(i);
  }
  result.order = order_by(result.value);
  return result;
}

Eigenpairs normalized_eigenpairs(const torch::Tensor& affinity, const Degrees& degrees,
                                 std::int64_t wanted, const ClusterOptions& options,
                                 PythonRandom& random) {
  const torch::Tensor scale =
      at::where(degrees.value.gt(0), degrees.value.rsqrt(), 0.0).unsqueeze(1).to(affinity.device());
  SymmetricOperator matrix;
  matrix.device = affinity.device();
  matrix.size = affinity.size(0);
  matrix.apply = [&](const torch::Tensor& block) {
    const torch::Tensor scaled = (block * scale).to(torch::kFloat32);
    return at::mm(affinity, scaled).to(torch::kFloat64) * scale;
  };
  const torch::Tensor start = random_block(degrees.order, block_columns(wanted), random);
  return top_eigenpairs(matrix, start,
                        {wanted, options.residual_tolerance, options.max_iterations});
}

std::int64_t largest_eigengap(const torch::Tensor& values, std::int64_t largest) {
  const torch::Tensor sorted = values.contiguous();
  const double* value = sorted.data_ptr<double>();
  std::int64_t best = 2;
  for (std::int64_t k = 3; k <= largest; ++k) {
    if (value[k - 1] - value[k] > value[best - 1] - value[best]) best = k;
  }
  return best;
}

torch::Tensor principal_components(const ProfileProducts& profiles, const torch::Tensor& start,
                                   const EigenOptions& options, Clustering& result) {
  SymmetricOperator gram;
  gram.size = profiles.rows;
  gram.device = profiles.device;
  gram.apply = [&](const torch::Tensor& block) {
    return profiles.apply(profiles.apply_transposed(block));
  };
  const Eigenpairs pairs = top_eigenpairs(gram, start, options);
  result.iterations += pairs.products;
  result.residual = pairs.residual;
  result.converged = pairs.converged;
  return (pairs.vectors * pairs.values.clamp_min(0.0).sqrt()).contiguous();
}

}  // namespace sgpt_mi::cluster
