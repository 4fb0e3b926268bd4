#pragma once

#include <torch/types.h>

#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {

/// trace(A H A^T), accumulated in float64.
///
/// \param matrix   A (rows, N) float32.
/// \param hessian  H (N, N) float32, symmetric.
///
/// Cost: about rows * N^2 / 2 multiply-adds.
[[nodiscard]] double quadratic_trace(const torch::Tensor& matrix, const torch::Tensor& hessian);

/// Fills sparsity, output_error, output_energy and dead_channels from the weights before and
/// result.matrix.weight after. Throws Error(kNumeric) when a weight after is not finite.
void measure(CompressResult& result, const torch::Tensor& before, const torch::Tensor& hessian,
             const std::string& name);

}  // namespace sgpt_mi::obs
