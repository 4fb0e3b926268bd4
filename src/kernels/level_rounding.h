#pragma once

#include <cstdint>

#include "arithmetic.h"
#include "sgpt_mi/kernels/obs_block.h"

namespace sgpt_mi::kernels {

/// What LevelView makes of a value; both twins round with this.
SGPT_MI_HOST_DEVICE inline float level_value_of(const LevelView& levels, std::int64_t r,
                                                std::int64_t column, float value) {
  const float step = levels.row_step[r] * levels.column_step[column];
  const float cost = levels.row_cost[r] * levels.column_cost[column];
  const std::int32_t wanted = levels.row_table[r] + levels.column_table[column];
  const std::int32_t floored = wanted > 0 ? wanted : 0;
  const std::int32_t table = floored < levels.tables ? floored : levels.tables - 1;
  return step * priced_level(value / step, cost,
                             levels.price + static_cast<std::int64_t>(table) * kPricedLevels);
}

}  // namespace sgpt_mi::kernels
