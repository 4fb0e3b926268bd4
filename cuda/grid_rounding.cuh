#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "arithmetic.h"
#include "level_rounding.h"
#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::kernels::cuda {

/// A weight's value on the grid of its row and column; writes its code, if it has one, to
/// `code` unless nullptr.
__device__ inline float round_to_grid(const GridView& grid, std::int64_t r, std::int64_t column,
                                      float value, std::uint8_t* code) {
  if (grid.levels.column_step != nullptr) {
    return level_value(value, row_factors(grid.levels, r), column_factors(grid.levels, column),
                       grid.levels.price, grid.levels.tables);
  }
  const std::int64_t group = grid.group_of_column[column];
  const float scale = grid.scale.row(r)[group];
  const float zero = grid.zero.row(r)[group];
  const float max_code = grid.max_code_of_group[group];
  float found = 0.0F;
  float rounded = 0.0F;
  if (grid.table.given) {
    found = table_code_of(value, scale, grid.table.level);
    rounded = scale * grid.table.level[static_cast<std::int32_t>(found)];
  } else if (grid.offset.data != nullptr) {
    const float offset = grid.offset.row(r)[group];
    found = code_of(value - offset, scale, 0.0F, max_code);
    rounded = value_of(found, scale, 0.0F) + offset;
  } else {
    found = code_of(value, scale, zero, max_code);
    rounded = value_of(found, scale, zero);
  }
  if (code != nullptr) *code = static_cast<std::uint8_t>(found);
  return rounded;
}

}  // namespace sgpt_mi::kernels::cuda
