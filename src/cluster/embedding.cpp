#include "embedding.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>
#include <numeric>

#include "sgpt_mi/kernels/affinity.h"
#include "sgpt_mi/quant/tensor_view.h"

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
  const torch::Tensor found =
      at::empty({2, affinity.size(0)}, affinity.options().dtype(torch::kFloat64));
  kernels::find_degrees({quant::view_of<const float>(affinity), found[0].data_ptr<double>(),
                         found[1].data_ptr<double>()},
                        quant::backend_of(affinity));
  Degrees result;
  result.value = found[0].to(torch::kCPU);
  result.inverse_root = found[1];
  const double* degree = result.value.data_ptr<double>();
  for (std::int64_t i = 0; i < result.value.size(0); ++i) {
    (degree[i] > 0.0 ? result.live : result.isolated).push_back(i);
  }
  result.order = order_by(result.value);
  return result;
}

namespace {

/// Rows times their factors, in float32. Both arguments float64 on one device.
torch::Tensor scaled_rows(const torch::Tensor& block, const torch::Tensor& factor) {
  const torch::Tensor values = block.contiguous();
  torch::Tensor scaled = at::empty(values.sizes(), values.options().dtype(torch::kFloat32));
  const std::int64_t columns = values.size(1);
  kernels::scale_rows({{values.data_ptr<double>(), values.size(0), columns, columns},
                       factor.data_ptr<double>(),
                       quant::view_of<float>(scaled)},
                      quant::backend_of(values));
  return scaled;
}

}  // namespace

Eigenpairs normalized_eigenpairs(const torch::Tensor& affinity, const Degrees& degrees,
                                 std::int64_t wanted, PythonRandom& random) {
  const torch::Tensor scale = degrees.inverse_root.unsqueeze(1);
  SymmetricOperator matrix;
  matrix.device = affinity.device();
  matrix.size = affinity.size(0);
  matrix.apply = [&](const torch::Tensor& block) {
    const torch::Tensor scaled = scaled_rows(block, degrees.inverse_root);
    return at::mm(affinity, scaled).to(torch::kFloat64) * scale;
  };
  const torch::Tensor start = random_block(degrees.order, block_columns(wanted), random);
  return top_eigenpairs(matrix, start, {wanted});
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
                                   std::int64_t components) {
  SymmetricOperator gram;
  gram.size = profiles.rows;
  gram.device = profiles.device;
  gram.apply = [&](const torch::Tensor& block) {
    return profiles.apply(profiles.apply_transposed(block));
  };
  const Eigenpairs pairs = top_eigenpairs(gram, start, {components});
  return (pairs.vectors * pairs.values.clamp_min(0.0).sqrt()).contiguous();
}

}  // namespace sgpt_mi::cluster
