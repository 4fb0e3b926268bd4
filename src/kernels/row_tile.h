#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::kernels {

/// Rows that the CPU twin of obs_block carries through the columns together: one column of them
/// fills four AVX2 or two AVX-512 registers, and 128 columns take 16 KiB, half of a usual L1 cache.
constexpr std::int64_t kTileRows = 32;

/// One number per row of a tile.
using TileColumn = std::array<float, kTileRows>;

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
  void load_grid(std::int64_t group);
  void round_column(std::int64_t column);
  void store_column(std::int64_t column) const;
  void add_losses();

  [[nodiscard]] float* weight(std::int64_t column) { return &weight_[at(column)]; }
  [[nodiscard]] std::uint8_t* pruned(std::int64_t column) { return &pruned_[at(column)]; }
  [[nodiscard]] static std::size_t at(std::int64_t column) {
    return static_cast<std::size_t>(column * kTileRows);
  }

  const ObsBlock& block_;
  std::int64_t first_row_ = 0;
  std::int64_t rows_ = 0;             // of this tile that exist
  std::int64_t group_ = -1;           // whose grid is loaded
  std::vector<float> weight_;         // (width, kTileRows)
  std::vector<std::uint8_t> pruned_;  // (width, kTileRows)
  std::vector<float> score_;          // (m, kTileRows) of an N:M pattern
  TileColumn scale_{};
  TileColumn zero_{};
  TileColumn code_{};
  TileColumn value_{};
  TileColumn error_{};
  std::array<double, kTileRows> loss_{};
};

}  // namespace sgpt_mi::kernels
