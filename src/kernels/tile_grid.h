#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::kernels {

/// Rows that the CPU twins of the column loops carry through the columns together: one column of
/// them fills four AVX2 or two AVX-512 registers, and 128 columns take 16 KiB, half of a usual L1
/// cache.
constexpr std::int64_t kTileRows = 32;

/// One number per row of a tile.
using TileColumn = std::array<float, kTileRows>;

/// The grids of a tile's rows.
class TileGrid {
 public:
  explicit TileGrid(const GridView& grid) : grid_(grid) {}

  /// Starts a tile of `rows` rows from `first_row`. Missing rows get scale 1.
  void start(std::int64_t first_row, std::int64_t rows);

  /// Replaces the values of one column by those of their codes, and keeps the codes.
  void round(std::int64_t column, float* value);

  /// Writes the codes of the last round(), if they have any, to a column of `codes`.
  void store(std::int64_t column, const MatrixView<std::uint8_t>& codes) const;

  /// False: values are not rounded, and neither round() nor store() may be called.
  [[nodiscard]] bool rounds() const { return grid_.rounds(); }

 private:
  void load(std::int64_t group);
  void round_to_levels(std::int64_t column, float* value) const;

  GridView grid_;
  std::int64_t first_row_ = 0;
  std::int64_t rows_ = 0;    // of this tile that exist
  std::int64_t group_ = -1;  // whose grid is loaded
  TileColumn scale_{};       // of levels: the rows' steps
  TileColumn zero_{};        // of levels: what their errors cost
  std::array<std::int32_t, kTileRows> table_{};
  TileColumn offset_{};
  TileColumn code_{};
};

}  // namespace sgpt_mi::kernels
