#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "random_stream.h"
#include "sgpt_mi/cluster/clustering.h"
#include "top_eigenpairs.h"

namespace sgpt_mi::cluster {

/// Row sums of an affinity and what follows from them.
struct Degrees {
  torch::Tensor value;                 ///< (N) float64, CPU
  torch::Tensor inverse_root;          ///< (N) float64 beside the affinity; 0 for isolated channels
  std::vector<std::int64_t> live;      ///< channels with a positive degree, ascending
  std::vector<std::int64_t> isolated;  ///< the others
  DrawOrder order;                     ///< all channels by degree ascending, equal ones by number
};

[[nodiscard]] Degrees degrees_of(const torch::Tensor& affinity);

/// Indices by key ascending, equal keys by index. `keys` (n) float64, CPU.
[[nodiscard]] DrawOrder order_by(const torch::Tensor& keys);

/// The `wanted` leading eigenpairs of D^-1/2 S D^-1/2; rows of isolated channels are 0.
[[nodiscard]] Eigenpairs normalized_eigenpairs(const torch::Tensor& affinity,
                                               const Degrees& degrees, std::int64_t wanted,
                                               PythonRandom& random);

/// K in 2 .. largest with the largest fall from eigenvalue K to K + 1, the first of equal ones.
/// `values` descending, more than `largest` of them.
[[nodiscard]] std::int64_t largest_eigengap(const torch::Tensor& values, std::int64_t largest);

/// A matrix X (n, d) known by its products with blocks of columns, float64 on `device`.
struct ProfileProducts {
  std::int64_t rows = 0;
  std::function<torch::Tensor(const torch::Tensor&)> apply;             ///< X v
  std::function<torch::Tensor(const torch::Tensor&)> apply_transposed;  ///< X^T v
  torch::Device device = torch::kCPU;
};

/// The rows of X in their `components` leading uncentred principal components: U sigma of X = U
/// sigma V^T, (n, components) float64, from the leading eigenpairs of X X^T.
[[nodiscard]] torch::Tensor principal_components(const ProfileProducts& profiles,
                                                 const torch::Tensor& start,
                                                 std::int64_t components);

}  // namespace sgpt_mi::cluster
