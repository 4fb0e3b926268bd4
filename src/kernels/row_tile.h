#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/obs_block.h"
#include "tile_grid.h"

namespace sgpt_mi::kernels {

/// A few rows of an ObsBlock, stored column after column so that every step of the column loop is a
/// vector operation over rows. Missing rows of the last tile are zeros and are never written back.
class RowTile {
 public:
  explicit RowTile(const ObsBlock& block);

  /// Runs the column loop over rows first_row .. min(first_row + kTileRows, rows) - 1.
  void run(std::int64_t first_row);

 private:
  void load(std::int64_t first_row);
  void choose_mask(std::int64_t column);
  void store_rows();
  void add_losses();

  [[nodiscard]] float* weight(std::int64_t column) { return &weight_[at(column)]; }
  [[nodiscard]] float* error(std::int64_t column) { return &error_[at(column)]; }
  [[nodiscard]] std::uint8_t* pruned(std::int64_t column) { return &pruned_[at(column)]; }
  [[nodiscard]] static std::size_t at(std::int64_t column) {
    return static_cast<std::size_t>(column * kTileRows);
  }

  const ObsBlock& block_;
  std::int64_t first_row_ = 0;
  std::int64_t rows_ = 0;             // of this tile that exist
  std::vector<float> weight_;         // (width, kTileRows); values in the columns that are done
  std::vector<float> error_;          // (width, kTileRows)
  std::vector<std::uint8_t> pruned_;  // (width, kTileRows)
  std::vector<float> score_;          // (m, kTileRows) of an N:M pattern
  TileGrid grid_;
  TileColumn value_{};
  std::array<double, kTileRows> loss_{};
};

}  // namespace sgpt_mi::kernels
