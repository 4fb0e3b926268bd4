#include "group_sums.h"

#include <cmath>

#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::blocks {
namespace {

constexpr std::int64_t kLanes = 16;

/// Partial sums of GroupSums: weight i of the group goes to lane i % 16.
struct Lanes {
  float error[kLanes] = {};
  float one[kLanes] = {};
  float level[kLanes] = {};
  float level_square[kLanes] = {};
  float weight[kLanes] = {};
  float weight_level[kLanes] = {};
};

/// What levels are made of.
struct Levels {
  float inverse;  // 1 / scale, 0 for scale 0
  float shift;
  float max_code;
};

/// Halves the lanes until one is left: pairs 8 apart, 4 apart, 2 and 1.
inline void fold(float* lanes) {
  for (int i = 0; i < 8; ++i) lanes[i] += lanes[i + 8];
  for (int i = 0; i < 4; ++i) lanes[i] += lanes[i + 4];
  lanes[0] = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

inline void add(Lanes& lanes, std::int64_t i, float h, float w, float level, Affine grid) {
  const float difference = (grid.scale * level + grid.offset) - w;
  const float hl = h * level;
  lanes.error[i] += h * (difference * difference);
  lanes.one[i] += h;
  lanes.level[i] += hl;
  lanes.level_square[i] += hl * level;
  lanes.weight[i] += h * w;
  lanes.weight_level[i] += hl * w;
}

inline GroupSums folded(Lanes& lanes) {
  fold(lanes.error);
  fold(lanes.one);
  fold(lanes.level);
  fold(lanes.level_square);
  fold(lanes.weight);
  fold(lanes.weight_level);
  return {lanes.error[0],        lanes.one[0],    lanes.level[0],
          lanes.level_square[0], lanes.weight[0], lanes.weight_level[0]};
}

SGPT_MI_SIMD_CLONES GroupSums sum_uniform(const float* __restrict weight,
                                          const float* __restrict importance, std::int64_t count,
                                          Levels levels, Affine grid) {
  Lanes lanes;
  for (std::int64_t first = 0; first < count; first += kLanes) {
    for (std::int64_t i = 0; i < kLanes; ++i) {
      const float w = weight[first + i];
      float code = std::rint((w - grid.offset) * levels.inverse) + levels.shift;
      code = code > 0.0F ? code : 0.0F;
      code = code > levels.max_code ? levels.max_code : code;
      add(lanes, i, importance[first + i], w, code - levels.shift, grid);
    }
  }
  return folded(lanes);
}

SGPT_MI_SIMD_CLONES GroupSums sum_table(const float* __restrict weight,
                                        const float* __restrict importance, std::int64_t count,
                                        Levels levels, Affine grid) {
  Lanes lanes;
  for (std::int64_t first = 0; first < count; first += kLanes) {
    for (std::int64_t i = 0; i < kLanes; ++i) {
      const float wanted = weight[first + i] * levels.inverse;
      float level = kTable4[0];
      for (std::size_t k = 1; k < kTable4.size(); ++k) {
        const float border = 0.5F * (kTable4[k - 1] + kTable4[k]);
        level += wanted > border ? kTable4[k] - kTable4[k - 1] : 0.0F;
      }
      add(lanes, i, importance[first + i], weight[first + i], level, grid);
    }
  }
  return folded(lanes);
}

}  // namespace

GroupSums sum_group(const BlockType& type, const Group& group, Affine grid) {
  const Levels levels{grid.scale == 0.0F ? 0.0F : 1.0F / grid.scale, type.shift, type.max_code()};
  if (type.form == BlockForm::kTable) {
    return sum_table(group.weight, group.importance, group.count, levels, grid);
  }
  return sum_uniform(group.weight, group.importance, group.count, levels, grid);
}

}  // namespace sgpt_mi::blocks
