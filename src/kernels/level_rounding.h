#pragma once

#include <cstdint>

#include "arithmetic.h"
#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::kernels {

/// Of a row or a column: its factors of step and cost, and its part of the table's number.
struct LevelFactors {
  float step = 1.0F;
  float cost = 0.0F;
  std::int32_t table = 0;
};

/// What LevelView makes of a value; both twins round with this.
SGPT_MI_HOST_DEVICE inline float level_value(float value, LevelFactors row, LevelFactors column,
                                             const float* price, std::int32_t tables) {
  const float step = row.step * column.step;
  const float cost = row.cost * column.cost;
  const std::int32_t wanted = row.table + column.table;
  const std::int32_t floored = wanted > 0 ? wanted : 0;
  const std::int32_t table = floored < tables ? floored : tables - 1;
  return step * priced_level(value / step, cost, price, table * kPricedLevels);
}

SGPT_MI_HOST_DEVICE inline LevelFactors row_factors(const LevelView& levels, std::int64_t r) {
  return {levels.row_step[r], levels.row_cost[r], levels.row_table[r]};
}

SGPT_MI_HOST_DEVICE inline LevelFactors column_factors(const LevelView& levels,
                                                       std::int64_t column) {
  return {levels.column_step[column], levels.column_cost[column], levels.column_table[column]};
}

}  // namespace sgpt_mi::kernels
