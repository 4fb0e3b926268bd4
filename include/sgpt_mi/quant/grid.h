#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::quant {

/// How integer grids are fitted to a matrix.
struct GridOptions {
  int bits = 4;                 ///< 2..8: codes 0 .. 2^bits - 1
  bool symmetric = false;       ///< range [-max|w|, max|w|], zero point (2^bits) / 2
  bool mse = false;             ///< clip search over 80 shrinks, sum |q - w|^2.4
  std::int64_t groupsize = -1;  ///< neighbouring columns that share a grid per row; -1: all columns

  /// Throws Error(kUsage) naming the field, its value and its range.
  void validate() const;
};

/// The grids of a matrix of `rows` x N: the value of code c in row r and column j is
/// scale(r, g) * (c - zero_point(r, g)), g = group_of_column(j). Zero is always a grid value.
struct Grid {
  torch::Tensor scale;             ///< (rows, G) float32, > 0
  torch::Tensor zero_point;        ///< (rows, G) float32, integral
  torch::Tensor group_of_column;   ///< (N) int32
  torch::Tensor max_code;          ///< (G) float32: 2^bits - 1
  std::vector<int> bits_of_group;  ///< G entries

  /// For the column loop over columns `first` and following.
  [[nodiscard]] kernels::GridView view(std::int64_t first) const;
};

/// Grids for `columns` columns in neighbouring groups, not fitted yet: scale 1, zero point 0.
[[nodiscard]] Grid make_grid(std::int64_t rows, std::int64_t columns, const GridOptions& options,
                             torch::Device device);

/// Fits group `group` of a grid from make_grid to the weights (rows, group's columns) float32.
/// See kernels::fit_grid for the formulas.
void fit_group(Grid& grid, std::int64_t group, const torch::Tensor& weight,
               const GridOptions& options);

/// Grids fitted to every group of the weights (rows, N) float32, CPU or CUDA, finite.
/// See kernels::fit_grid for the formulas and the treatment of rows without range.
/// Throws Error(kUsage) when the group size does not divide N.
[[nodiscard]] Grid find_grid(const torch::Tensor& weight, const GridOptions& options);

/// Codes of the nearest grid values, (rows, N) uint8: clamp(round(w / scale) + zero point), half to
/// even, in float32.
[[nodiscard]] torch::Tensor quantize(const torch::Tensor& weight, const Grid& grid);

/// Values of codes, (rows, N) float32.
[[nodiscard]] torch::Tensor dequantize(const torch::Tensor& codes, const Grid& grid);

}  // namespace sgpt_mi::quant
