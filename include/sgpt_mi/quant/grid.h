#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "sgpt_mi/quant/level_grid.h"

namespace sgpt_mi::quant {

/// Which weights share one (scale, zero point).
enum class GridSharing : std::uint8_t {
  kRowGroup,  ///< those of one row in one group of columns: scale (rows, G)
  kColumn,    ///< those of one column; the group shares only the width: scale (1, N)
  kGroup      ///< all of a group of columns: scale (1, G)
};

/// Columns in groups of their own widths.
struct ColumnGroups {
  std::vector<std::int32_t> group_of_column;  ///< N labels, 0 .. G - 1, every label used
  std::vector<int> bits_of_group;             ///< G widths, 2..8
  GridSharing sharing = GridSharing::kRowGroup;
};

/// Which narrower ranges are compared with the whole one, by the sum of |q - w|^2.4.
enum class ClipSearch : std::uint8_t {
  kNone,  ///< none
  kGptq,  ///< 79, each 0.01 of the range narrower than the one before: down to 0.21 of it
  kWide   ///< 31, each 0.025 narrower: down to 0.225
};

/// How integer grids are fitted to a matrix.
struct GridOptions {
  int bits = 4;            ///< 2..8: codes 0 .. 2^bits - 1
  bool symmetric = false;  ///< range [-max|w|, max|w|], zero point (2^bits) / 2
  ClipSearch clip = ClipSearch::kNone;
  std::int64_t groupsize = -1;  ///< neighbouring columns that share a grid per row; -1: all columns
  /// Scales are rounded to what a packed file holds: float16 times 2 to this power, at least
  /// float16's smallest. Unset: float32.
  std::optional<int> scale_exponent;

  /// Throws Error(kUsage) naming the field, its value and its range.
  void validate() const;
};

/// The factors that the scales of a matrix in blocks of one of ggml's types are made of:
/// blocks::BlockParts of all blocks.
struct BlockFactors {
  const blocks::BlockType* type = nullptr;
  torch::Tensor super_scale;    ///< (rows, N / block_elements) float32, binary16 numbers
  torch::Tensor super_minimum;  ///< of the same shape
  torch::Tensor sub_scale;      ///< (rows, G) float32, whole numbers
  torch::Tensor sub_minimum;    ///< of the same shape
};

/// The grids of a matrix of `rows` x N: the value of code c in row r and column j is
/// scale(r, g) * (c - zero_point(r, g)), g = group_of_column(j), and zero is always a grid value.
/// Of blocks it is what their blocks::BlockForm says: see kernels::GridView.
struct Grid {
  torch::Tensor scale;             ///< (rows, G) float32, > 0; (1, G) when all rows share it
  torch::Tensor offset;            ///< (rows, G) float32, of blocks with offsets; else undefined
  torch::Tensor zero_point;        ///< of scale's shape, float32, integral
  torch::Tensor group_of_column;   ///< (N) int32
  torch::Tensor max_code;          ///< (G) float32: 2^bits - 1
  std::vector<int> bits_of_group;  ///< G entries
  std::optional<BlockFactors> blocks;  ///< of which scale and offset are the products
  /// Takes the place of all the others: levels of any size instead of codes.
  std::optional<LevelGrid> levels;

  /// Whether it rounds to anything.
  [[nodiscard]] bool defined() const { return scale.defined() || levels.has_value(); }

  /// For the column loop over columns `first` and following of a matrix of `rows` rows.
  [[nodiscard]] kernels::GridView view(std::int64_t first, std::int64_t rows) const;
};

/// What is known about a matrix besides its weights; an undefined tensor: nothing.
struct GridEvidence {
  torch::Tensor pruned;  ///< (rows, N) bool; true: widens no range and has no error
  /// (N) float32, >= 0: factor of |q - w|^2.4 in the clip search, say the diagonal of H. Without
  /// effect where a grid belongs to one column.
  torch::Tensor column_weight;
};

/// Grids for `columns` columns in neighbouring groups, not fitted yet: scale 1, zero point 0.
[[nodiscard]] Grid make_grid(std::int64_t rows, std::int64_t columns, const GridOptions& options,
                             torch::Device device);

/// Fits group `group` of a grid from make_grid to the weights (rows, group's columns) float32.
/// See kernels::fit_grid for the formulas.
void fit_group(Grid& grid, std::int64_t group, const torch::Tensor& weight,
               const GridOptions& options);

/// Grids fitted to every group of the weights (rows, N) float32, CPU or CUDA, finite.
/// See kernels::fit_grid for the formulas and the treatment of groups without range, which groups
/// of nothing but pruned weights are.
/// Throws Error(kUsage) when the group size does not divide N, Error(kInternal) for evidence of
/// another shape or type.
[[nodiscard]] Grid find_grid(const torch::Tensor& weight, const GridOptions& options,
                             const GridEvidence& evidence = {});

/// Grids fitted to groups of columns of their own widths; options.bits and options.groupsize have
/// no effect. With GridSharing::kColumn every column becomes a group of the result.
/// Throws Error(kInternal) when the labels or the evidence do not fit the matrix.
[[nodiscard]] Grid find_grid(const torch::Tensor& weight, const ColumnGroups& groups,
                             const GridOptions& options, const GridEvidence& evidence = {});

/// The columns of each of `groups` groups, ascending, int64 on the labels' device.
/// \param group_of_column  (N) labels 0 .. groups - 1. Read once: with CUDA the call waits for
/// them,
///                         unless there is one group.
[[nodiscard]] std::vector<torch::Tensor> columns_of_groups(const torch::Tensor& group_of_column,
                                                           std::int64_t groups);

/// An exponent for GridOptions::scale_exponent with which the scales of any grid on these weights
/// are float16 normal numbers unless a row is 10^7 times smaller than the largest weight.
[[nodiscard]] int scale_exponent_for(const torch::Tensor& weight);

/// Rounds scales in place to what a packed file holds, see GridOptions::scale_exponent.
void round_to_stored(const torch::Tensor& scale, int exponent);

/// Codes of the nearest grid values, (rows, N) uint8: clamp(round(w / scale) + zero point), half to
/// even, in float32.
[[nodiscard]] torch::Tensor quantize(const torch::Tensor& weight, const Grid& grid);

/// Values of codes, (rows, N) float32.
[[nodiscard]] torch::Tensor dequantize(const torch::Tensor& codes, const Grid& grid);

}  // namespace sgpt_mi::quant
