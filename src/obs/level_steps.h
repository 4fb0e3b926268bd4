#pragma once

#include <torch/types.h>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/level_grid.h"

namespace sgpt_mi::obs {

/// The steps of LevelOptions, in the natural column order, with the costs of a sweep; prices of the
/// levels nearest to the weights.
/// \param weight      W0 (rows, N) float32, zero where it is pruned.
/// \param row_weight  f (rows) float64, > 0.
[[nodiscard]] quant::LevelGrid find_level_grid(const torch::Tensor& weight,
                                               const torch::Tensor& row_weight,
                                               const PreparedInput& input,
                                               const LevelOptions& options);

/// The same without prices.
[[nodiscard]] quant::LevelGrid level_steps(const PreparedInput& input,
                                           const torch::Tensor& row_weight,
                                           const LevelOptions& options);

/// Gives a grid the costs of a descent on trace(E H' E^T) instead, in the same unit.
/// \param diagonal  of H', (N) float32.
void use_descent_costs(quant::LevelGrid& grid, const torch::Tensor& diagonal,
                       const torch::Tensor& row_weight, const LevelOptions& options);

}  // namespace sgpt_mi::obs
