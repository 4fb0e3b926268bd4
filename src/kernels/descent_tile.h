#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/descend_block.h"
#include "tile_grid.h"

namespace sgpt_mi::kernels {

/// A few rows of a DescentBlock, stored column after column so that every step is a vector
/// operation over rows. Missing rows of the last tile are zeros and are never written back.
class DescentTile {
 public:
  explicit DescentTile(const DescentBlock& block);

  /// Descends rows first_row .. min(first_row + kTileRows, rows) - 1.
  void run(std::int64_t first_row);

 private:
  void load(std::int64_t first_row);
  void descend_column(std::int64_t column);
  void descend_group(std::int64_t first);
  void descend_kept(std::int64_t first);
  [[nodiscard]] bool exchange(std::int64_t first);
  void exchange_row(std::int64_t first, std::int64_t row, std::int64_t pair);
  void change_weight(std::int64_t first, std::int64_t column, std::int64_t row, float value);
  void store() const;

  [[nodiscard]] float* weight(std::int64_t column) { return &weight_[at(column)]; }
  [[nodiscard]] float* gradient(std::int64_t column) { return &gradient_[at(column)]; }
  [[nodiscard]] std::uint8_t* pruned(std::int64_t column) { return &pruned_[at(column)]; }
  [[nodiscard]] static std::size_t at(std::int64_t column) {
    return static_cast<std::size_t>(column * kTileRows);
  }

  const DescentBlock& block_;
  std::int64_t width_;
  std::int64_t first_row_ = 0;
  std::int64_t rows_ = 0;             // of this tile that exist
  std::vector<float> weight_;         // (width, kTileRows)
  std::vector<float> gradient_;       // (width, kTileRows)
  std::vector<std::uint8_t> pruned_;  // (width, kTileRows)
  std::vector<float> start_;          // (m, kTileRows): a group's weights before its descent
  TileGrid grid_;
  TileColumn value_{};
  TileColumn change_{};
};

}  // namespace sgpt_mi::kernels
