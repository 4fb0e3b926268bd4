#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/blocks/fit_blocks.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::quant {

/// Grids of a matrix in blocks of one of ggml's types, not fitted yet: all scales 0,
/// group_of_column the blocks' groups. Throws Error(kInternal) when the columns are not whole
/// blocks.
[[nodiscard]] Grid make_block_grid(std::int64_t rows, std::int64_t columns,
                                   const blocks::BlockType& type, torch::Device device);

/// Fits the blocks of columns first .. first + weight.size(1) - 1, which are whole blocks.
/// \param weight         (rows, width) float32, CPU or CUDA (fitted on the CPU, and copied).
/// \param column_weight  (width) float32: how much a squared error in each column counts.
/// See blocks::fit_blocks for how.
void fit_block_columns(Grid& grid, std::int64_t first, const torch::Tensor& weight,
                       const torch::Tensor& column_weight);

/// Fits one group again, with its block's factors as they are: blocks::fit_group.
void fit_block_group(Grid& grid, std::int64_t group, const torch::Tensor& weight,
                     const torch::Tensor& column_weight);

/// Sets scale and offset of some groups from the factors of their blocks.
void update_block_groups(Grid& grid, std::int64_t first_group, std::int64_t groups);

/// A matrix in blocks, and the values that the blocks decode to.
struct BlockRounding {
  std::vector<std::byte> bytes;
  torch::Tensor values;  ///< (rows, N) of the type asked for, on the CPU
};

/// A matrix (rows, N) on the CPU rounded to the nearest values of blocks, all errors counting
/// alike, 4,096 rows at a time: a table of 128,256 rows of 4,096 would take 2 GB a temporary.
/// Throws Error(kInternal) when the columns are not whole blocks.
[[nodiscard]] BlockRounding round_to_blocks(const torch::Tensor& matrix,
                                            const blocks::BlockType& type,
                                            torch::ScalarType values);

/// What the codes of a matrix in blocks multiply their scales by, (rows, N) float32.
[[nodiscard]] torch::Tensor levels(const torch::Tensor& codes, const Grid& grid);

/// How the error f of each row depends on the scale s and the offset o of one group, a parabola:
///
///     df = 2 slope ds + 2 offset_slope do + curvature ds^2 + 2 mixed ds do + offset_curvature do^2
struct ScaleStep {
  torch::Tensor slope;             ///< (rows, 1)
  torch::Tensor curvature;         ///< (rows, 1)
  torch::Tensor offset_slope;      ///< (rows, 1); the last three of grids with offsets only
  torch::Tensor mixed;             ///< (rows, 1)
  torch::Tensor offset_curvature;  ///< scalar
};

/// By how much a step moved each row's scale and offset, (rows, 1); offset undefined without.
struct ScaleChange {
  torch::Tensor scale;
  torch::Tensor offset;
};

/// Moves one group's whole numbers (without a second level: the block's own factors) to those next
/// to the parabola's lowest point that lower f most, and leaves rows as they are where none does.
ScaleChange step_block_group(Grid& grid, std::int64_t group, const ScaleStep& step);

/// The bytes of a matrix in blocks: blocks::encode_blocks.
[[nodiscard]] std::vector<std::byte> encode_blocks(const torch::Tensor& codes,
                                                   const BlockFactors& factors);

/// Views of the factors, which must lie on the CPU.
[[nodiscard]] blocks::BlockScales block_scales(const BlockFactors& factors);

}  // namespace sgpt_mi::quant
