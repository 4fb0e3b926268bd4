#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/obs/row_split.h"

namespace sgpt_mi::obs {

/// trace(A H A^T), accumulated in float64.
///
/// \param matrix   A (rows, N) float32.
/// \param hessian  H (N, N) float32, symmetric.
///
/// Cost: about rows * N^2 / 2 multiply-adds.
[[nodiscard]] double quadratic_trace(const torch::Tensor& matrix, const torch::Tensor& hessian);

/// Some rows of a matrix before and after a compression, (rows, N) float32.
struct RowChange {
  torch::Tensor before;
  torch::Tensor after;
};

/// Fills sparsity, output_error, row_error, output_energy and dead_channels from
/// result.matrix.weight and the changes of the parts. Throws Error(kNumeric) when a weight after is
/// not finite.
void measure(CompressResult& result, const RowSplit& split, const std::vector<RowChange>& changes,
             const PreparedInput& input, const std::string& name);

}  // namespace sgpt_mi::obs
