#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::obs {

/// Rows of one matrix on their way through the column loop, block after block from left to right.
///
/// A block is a run of columns whose unstructured mask is chosen together. Where groups get their
/// grids along the way, a block is cut at the group borders, so that every grid is fitted to
/// weights that carry the errors of all columns before it.
///
/// Errors reach the rest of about 1,024 columns block by block, and what lies behind these in one
/// product at their end. Until then no column behind them is read.
class Sweep {
 public:
  /// \param weight  (rows, N) float32; changed in place.
  /// \param upper   U (N, N) float32.
  Sweep(torch::Tensor weight, torch::Tensor upper, const CompressOptions& options);

  /// Multiplies the scores that an unstructured mask is chosen by with their rows' weights (rows).
  void weigh_masks(const torch::Tensor& row_weight);

  /// Zeroes these weights (rows, N) instead of choosing a mask; of the sweep's column order.
  void use_mask(torch::Tensor pruned);

  /// Rounds by this grid, fitted before the sweep. Group of column j: of the sweep's column order.
  void use_grid(quant::Grid grid);

  /// Rounds by grids fitted to each group's weights when the sweep arrives there, their scales
  /// stored with this exponent.
  void fit_grids(std::optional<int> scale_exponent);

  /// Also sums every column's loss over the rows, these weights (rows) float32 times the squares.
  void weigh_rows(torch::Tensor row_weight);

  /// Runs the sweeps of all parts of a matrix, block by block, with one mask threshold for all.
  static void run(std::vector<Sweep>& parts, const ranks::World& world = {});

  [[nodiscard]] const torch::Tensor& weight() const { return weight_; }
  [[nodiscard]] const torch::Tensor& pruned() const { return pruned_; }
  [[nodiscard]] const torch::Tensor& codes() const { return codes_; }
  [[nodiscard]] const quant::Grid& grid() const { return grid_; }
  /// sum_j (w - q)^2 / (2 U_jj^2) of each row, (rows) float64.
  [[nodiscard]] const torch::Tensor& row_loss() const { return row_loss_; }
  /// sum_r f_r (w - q)^2 / U_jj^2 of each column over the rows of each product, (products, N)
  /// float64; after weigh_rows().
  [[nodiscard]] const torch::Tensor& column_loss() const { return column_loss_; }

 private:
  [[nodiscard]] std::int64_t block_size() const;
  [[nodiscard]] std::int64_t far_block_size() const;
  [[nodiscard]] std::int64_t group_size() const;
  [[nodiscard]] bool rounds() const { return grid_.defined(); }
  [[nodiscard]] torch::Tensor scores(std::int64_t first, std::int64_t end) const;
  void run_block(std::int64_t first, std::int64_t end);
  void fit_group_at(std::int64_t first);
  void fit_blocks_at(std::int64_t first);
  void step(std::int64_t first, std::int64_t end);
  static void choose_masks(std::vector<Sweep>& parts, std::int64_t first, std::int64_t end,
                           const ranks::World& world);
  void start_far_block(std::int64_t first, std::int64_t end);
  void sum_columns(std::int64_t first, const torch::Tensor& error);
  [[nodiscard]] torch::Tensor error_of(std::int64_t first, std::int64_t end) const;
  void subtract(std::int64_t from, std::int64_t end, std::int64_t to, std::int64_t stop);

  torch::Tensor weight_;
  torch::Tensor upper_;
  CompressOptions options_;
  quant::Grid grid_;
  bool fits_grids_ = false;
  std::optional<int> scale_exponent_;
  torch::Tensor column_weight_;  // (N) float32 1 / U_jj^2: what blocks are fitted with
  torch::Tensor pruned_;         // (rows, N) bool
  torch::Tensor codes_;          // (rows, N) uint8, of grids with codes
  torch::Tensor error_;          // (rows, block), or (rows, far block)
  std::int64_t far_first_ = 0;
  std::int64_t far_end_ = 0;
  torch::Tensor mask_weight_;  // (rows, 1), undefined: all alike
  torch::Tensor row_loss_;     // (rows) float64
  torch::Tensor row_weight_;   // (rows) float32, undefined: columns are not summed
  torch::Tensor column_loss_;  // (products, N) float64
};

}  // namespace sgpt_mi::obs
