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

/// Scores of all places at most the element number int(count * sparsity) of the sorted scores, so
/// that element and its equals are pruned too (the rule of the SparseGPT code). (…) bool.
[[nodiscard]] torch::Tensor prune_lowest(const torch::Tensor& score, double sparsity);

}  // namespace sgpt_mi::obs
