#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "launch.cuh"

namespace sgpt_mi::kernels::cuda {
namespace {

static_assert(kWarp == kSumLanes, "a warp adds as the CPU's lanes do");
constexpr int kThreads = 256;

/// Weights of one group and the factors of their errors.
struct Group {
  const float* weight;
  const float* factor;  // nullptr: all 1
  std::int64_t count;
};

/// The range of a group's weights, in all lanes of the warp.
__device__ Range range_of(const Group& group, int lane) {
  float low = 0.0F;
  float high = 0.0F;
  for (std::int64_t i = lane; i < group.count; i += kWarp) {
    low = fminf(low, group.weight[i]);
    high = fmaxf(high, group.weight[i]);
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    low = fminf(low, __shfl_xor_sync(kAllLanes, low, offset));
    high = fmaxf(high, __shfl_xor_sync(kAllLanes, high, offset));
  }
  return {low, high};
}

/// Sum of factor * |q - w|^2.4 over a group, in all lanes of the warp.
__device__ double trial_error(const Group& group, ScaleZero grid, float max_code, int lane) {
  double sum = 0.0;
  for (std::int64_t i = lane; i < group.count; i += kWarp) {
    const float weight = group.weight[i];
    const float code = code_of(weight, grid.scale, grid.zero, max_code);
    const float difference = value_of(code, grid.scale, grid.zero) - weight;
    const float square = difference * difference;
    const float guess = __uint_as_float(inverse_fifth_root_guess(__float_as_uint(square)));
    const double factor = group.factor != nullptr ? static_cast<double>(group.factor[i]) : 1.0;
    sum += factor * static_cast<double>(power_six_fifths(square, guess));
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(kAllLanes, sum, offset);
  }
  return sum;
}

__device__ ScaleZero search_clip(const Group& group, const GridFit& fit, Range range, int lane) {
  ScaleZero best{};
  double least = 0.0;
  for (int trial = 0; trial < fit.clip_trials; ++trial) {
    const float share = clip_share(trial, fit.clip_step);
    const ScaleZero grid =
        grid_of_range(share * range.low, share * range.high, fit.max_code, fit.symmetric);
    const double error = trial_error(group, grid, fit.max_code, lane);
    if (trial > 0 && error >= least) continue;
    least = error;
    best = grid;
  }
  return best;
}

/// One warp per (row, group).
__global__ void fit_groups(GridFit fit) {
  const int lane = lane_index();
  const std::int64_t row = warp_index() / fit.scale.columns;
  const std::int64_t column = warp_index() % fit.scale.columns;  // of scale and zero
  if (row >= fit.weight.rows) return;
  const std::int64_t first = column * fit.group_size;
  const float* factor = fit.column_weight != nullptr ? fit.column_weight + first : nullptr;
  const Group group{fit.weight.row(row) + first, factor, fit.group_size};
  const Range seen = range_of(group, lane);
  const Range range = usable_range(seen.low, seen.high, fit.max_code, fit.symmetric);
  const ScaleZero grid = fit.clip_trials > 1
                             ? search_clip(group, fit, range, lane)
                             : grid_of_range(range.low, range.high, fit.max_code, fit.symmetric);
  if (lane == 0) {
    fit.scale.row(row)[column] = grid.scale;
    fit.zero.row(row)[column] = grid.zero;
  }
}

}  // namespace

void fit_grid(const GridFit& fit, void* stream) {
  const std::int64_t threads = fit.weight.rows * fit.scale.columns * kWarp;
  launch(fit_groups, "grid fitting", {blocks_for(threads, kThreads), kThreads, 0}, stream, fit);
}

}  // namespace sgpt_mi::kernels::cuda
