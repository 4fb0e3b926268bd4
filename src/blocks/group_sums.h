#pragma once

#include <cstdint>

#include "sgpt_mi/blocks/block_types.h"

namespace sgpt_mi::blocks {

/// Weights that share a scale, and how much the error of each counts.
struct Group {
  const float* weight = nullptr;
  const float* importance = nullptr;  ///< >= 0
  std::int64_t count = 0;             ///< a multiple of 16
};

/// The grid scale * level + offset.
struct Affine {
  float scale = 0.0F;
  float offset = 0.0F;
};

/// Sums over a group, each term times the weight's importance h. A level l is what the scale
/// multiplies: code - shift, code or table entry.
struct GroupSums {
  float error = 0.0F;  ///< (scale l + offset - w)^2
  float one = 0.0F;
  float level = 0.0F;
  float level_square = 0.0F;
  float weight = 0.0F;
  float weight_level = 0.0F;
};

/// The sums with every weight at the nearest value of the grid.
[[nodiscard]] GroupSums sum_group(const BlockType& type, const Group& group, Affine grid);

}  // namespace sgpt_mi::blocks
