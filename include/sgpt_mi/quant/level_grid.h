#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>

#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::quant {

/// What a bit costs in the unit of a level's squared distance. At high rate a weight with step 1
/// has the expected error D = 1/12 and takes b = h - log2(step) bits, so dD/db = -2 ln 2 / 12.
inline constexpr double kBitPrice = 0.11552453009332421;

/// Grids of all multiples of a step, row_step(r) * column_step(j), of a matrix whose levels (the
/// whole numbers that multiply the steps) are entropy-coded: kernels::LevelView.
struct LevelGrid {
  torch::Tensor row_step;     ///< (rows) float32, > 0: float16 numbers times 2^row_exponent
  torch::Tensor column_step;  ///< (N) float32, > 0: float16 numbers times 2^column_exponent
  int row_exponent = 0;
  int column_exponent = 0;
  torch::Tensor row_cost;      ///< (rows) float32
  torch::Tensor column_cost;   ///< (N) float32: with row_cost the cost of a squared distance of 1
  torch::Tensor row_table;     ///< (rows) int32
  torch::Tensor column_table;  ///< (N) int32
  torch::Tensor price;         ///< (tables, 32) float32

  /// For the column loop over columns `first` and following.
  [[nodiscard]] kernels::LevelView view(std::int64_t first) const;
  /// The same grid with its columns in another order, (N) int64.
  [[nodiscard]] LevelGrid with_columns(const torch::Tensor& order) const;
  /// The grid of some rows, (n) int64.
  [[nodiscard]] LevelGrid of_rows(const torch::Tensor& rows) const;
};

/// Rounds steps, (rows) and (N) float, to what a file holds; costs and prices are still missing.
/// \param row_exponent  unset: one that suits these rows.
[[nodiscard]] LevelGrid make_level_grid(const torch::Tensor& row_step,
                                        const torch::Tensor& column_step,
                                        std::optional<int> row_exponent = std::nullopt);

/// Levels nearest to the weights, (rows, N) int16: clamp(round(w / step)) within +-32767.
/// Weights must be finite.
[[nodiscard]] torch::Tensor nearest_levels(const torch::Tensor& weight, const LevelGrid& grid);

/// Values of levels, (rows, N) float32: step * level, both products rounded to float32.
[[nodiscard]] torch::Tensor values_of(const torch::Tensor& levels, const LevelGrid& grid);

/// A model of the magnitudes of levels: rows and columns are classed by their mean magnitude in
/// half octaves, and every sum of both classes has a table.
struct LevelTables {
  torch::Tensor row_table;     ///< (rows) int32
  torch::Tensor column_table;  ///< (N) int32
  torch::Tensor bits;          ///< (tables, 32) float32: of a level of magnitude 0 to 31, its sign
                               ///< included
  double total_bits = 0.0;     ///< of the levels it was made of: their entropy given the tables
};

/// Cost: a few passes over the levels, (rows, N) of any integral type.
[[nodiscard]] LevelTables level_tables(const torch::Tensor& levels);

/// Prices for a grid: kBitPrice times the bits of these tables.
void set_prices(LevelGrid& grid, const LevelTables& tables);

}  // namespace sgpt_mi::quant
