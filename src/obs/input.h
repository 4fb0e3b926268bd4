#pragma once

#include <torch/types.h>

#include <string>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::obs {

/// Checks what the compressors have in common: options against themselves and the matrix
/// (kUsage), shapes and devices (kInternal), and that weight and H are finite (kNumeric).
void check_input(const torch::Tensor& weight, const torch::Tensor& hessian,
                 const CompressOptions& options, const std::string& name);

/// The quantizer's share of the options.
[[nodiscard]] quant::GridOptions grid_options(const CompressOptions& options);

/// The mask of the lowest scores, bool of the scores' shape: true where a score is at most element
/// int(count * sparsity) of the sorted scores. That element and its equals fall too, one or more
/// above the share asked for (the rule of the SparseGPT code).
[[nodiscard]] torch::Tensor prune_lowest(const torch::Tensor& score, double sparsity);

}  // namespace sgpt_mi::obs
