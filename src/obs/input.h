#pragma once

#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::obs {

/// Checks what the compressors have in common: options against themselves and the matrix
/// (kUsage), shapes and devices (kInternal), and that the weight is finite (kNumeric).
void check_input(const torch::Tensor& weight, const torch::Tensor& hessian,
                 const CompressOptions& options, const std::string& name);

/// Checks that H is a square float32 matrix (kInternal) and finite (kNumeric, naming `name`).
void check_hessian(const torch::Tensor& hessian, const std::string& name);

/// The power of two of the stored scales, when options.stored_scales asks for such.
[[nodiscard]] std::optional<int> scale_exponent(const torch::Tensor& weight,
                                                const CompressOptions& options);

/// The quantizer's share of the options.
[[nodiscard]] quant::GridOptions grid_options(const CompressOptions& options,
                                              std::optional<int> scale_exponent);

/// Whether grids are fitted along the way: those of groups that take part in the updates. Whole
/// rows, static groups and groups fitted to a finished mask come before the sweep.
[[nodiscard]] bool fits_grids_in_sweep(const CompressOptions& options);

/// Grids fitted to the untouched weight (rows, N) float32: of options.groups, or in runs of
/// options.groupsize columns.
[[nodiscard]] quant::Grid find_static_grid(const torch::Tensor& weight,
                                           const CompressOptions& options,
                                           std::optional<int> scale_exponent);

/// Blocks fitted to the untouched weight (rows, N) float32, squared errors weighted by the diagonal
/// of H (N).
[[nodiscard]] quant::Grid find_block_grid(const torch::Tensor& weight,
                                          const torch::Tensor& diagonal,
                                          const blocks::BlockType& type);

}  // namespace sgpt_mi::obs
