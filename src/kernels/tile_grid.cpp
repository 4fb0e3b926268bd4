#include "tile_grid.h"

#include "arithmetic.h"
#include "level_rounding.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::kernels {
namespace {

SGPT_MI_SIMD_CLONES void round_to_grid(const float* __restrict scale, const float* __restrict zero,
                                       float max_code, float* __restrict value,
                                       float* __restrict code) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    code[r] = code_of(value[r], scale[r], zero[r], max_code);
    value[r] = value_of(code[r], scale[r], zero[r]);
  }
}

SGPT_MI_SIMD_CLONES void round_to_offset_grid(const float* __restrict scale,
                                              const float* __restrict offset, float max_code,
                                              float* __restrict value, float* __restrict code) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    code[r] = code_of(value[r] - offset[r], scale[r], 0.0F, max_code);
    value[r] = value_of(code[r], scale[r], 0.0F) + offset[r];
  }
}

SGPT_MI_SIMD_CLONES void round_to_table(const float* __restrict scale,
                                        const float* __restrict level, float* __restrict value,
                                        float* __restrict code) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    code[r] = table_code_of(value[r], scale[r], level);
    value[r] = scale[r] * level[static_cast<std::int32_t>(code[r])];
  }
}

/// LevelFactors of a tile's rows.
struct TileFactors {
  const float* step;
  const float* cost;
  const std::int32_t* table;
};

SGPT_MI_SIMD_CLONES void round_column_to_levels(const TileFactors& rows, LevelFactors column,
                                                const float* __restrict price, std::int32_t tables,
                                                float* __restrict value) {
  const float* __restrict step = rows.step;
  const float* __restrict cost = rows.cost;
  const std::int32_t* __restrict table = rows.table;
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    value[r] = level_value(value[r], {step[r], cost[r], table[r]}, column, price, tables);
  }
}

}  // namespace

void TileGrid::start(std::int64_t first_row, std::int64_t rows) {
  first_row_ = first_row;
  rows_ = rows;
  group_ = -1;
  scale_.fill(1.0F);
  if (grid_.levels.column_step == nullptr) return;
  // In the places of scale and zero, which levels have not.
  for (std::int64_t r = 0; r < rows; ++r) {
    const LevelFactors row = row_factors(grid_.levels, first_row + r);
    scale_[static_cast<std::size_t>(r)] = row.step;
    zero_[static_cast<std::size_t>(r)] = row.cost;
    table_[static_cast<std::size_t>(r)] = row.table;
  }
}

void TileGrid::load(std::int64_t group) {
  if (group == group_) return;
  group_ = group;
  for (std::int64_t r = 0; r < rows_; ++r) {
    scale_[static_cast<std::size_t>(r)] = grid_.scale.row(first_row_ + r)[group];
    zero_[static_cast<std::size_t>(r)] = grid_.zero.row(first_row_ + r)[group];
    if (grid_.offset.data == nullptr) continue;
    offset_[static_cast<std::size_t>(r)] = grid_.offset.row(first_row_ + r)[group];
  }
}

void TileGrid::round_to_levels(std::int64_t column, float* value) const {
  const LevelView& levels = grid_.levels;
  round_column_to_levels({scale_.data(), zero_.data(), table_.data()},
                         column_factors(levels, column), levels.price, levels.tables, value);
}

void TileGrid::round(std::int64_t column, float* value) {
  if (grid_.levels.column_step != nullptr) return round_to_levels(column, value);
  const std::int64_t group = grid_.group_of_column[column];
  load(group);
  const float max_code = grid_.max_code_of_group[group];
  if (grid_.table.given) {
    round_to_table(scale_.data(), grid_.table.level, value, code_.data());
  } else if (grid_.offset.data != nullptr) {
    round_to_offset_grid(scale_.data(), offset_.data(), max_code, value, code_.data());
  } else {
    round_to_grid(scale_.data(), zero_.data(), max_code, value, code_.data());
  }
}

void TileGrid::store(std::int64_t column, const MatrixView<std::uint8_t>& codes) const {
  if (!grid_.has_codes()) return;
  for (std::int64_t r = 0; r < rows_; ++r) {
    codes.row(first_row_ + r)[column] =
        static_cast<std::uint8_t>(code_[static_cast<std::size_t>(r)]);
  }
}

}  // namespace sgpt_mi::kernels
