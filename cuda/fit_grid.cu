#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "launch.cuh"

namespace sgpt_mi::kernels::cuda {
namespace {

static_assert(kWarp == kSumLanes, "a warp adds as the CPU's lanes do");
constexpr int kThreads = 256;
constexpr std::int64_t kFewGroups = 1 << 13;  // fewer warps than a large GPU holds at a time

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

/// The grid of trial number `trial`.
__device__ ScaleZero trial_grid(const GridFit& fit, Range range, int trial) {
  const float share = clip_share(trial, fit.clip_step);
  return grid_of_range(share * range.low, share * range.high, fit.max_code, fit.symmetric);
}

__device__ ScaleZero search_clip(const Group& group, const GridFit& fit, Range range, int lane) {
  ScaleZero best{};
  double least = 0.0;
  for (int trial = 0; trial < fit.clip_trials; ++trial) {
    const ScaleZero grid = trial_grid(fit, range, trial);
    const double error = trial_error(group, grid, fit.max_code, lane);
    if (trial > 0 && error >= least) continue;
    least = error;
    best = grid;
  }
  return best;
}

/// Group number `index` of all rows' groups.
struct Place {
  std::int64_t row;
  std::int64_t column;  // of scale and zero
};

__device__ Place place_of(const GridFit& fit, std::int64_t index) {
  return {index / fit.scale.columns, index % fit.scale.columns};
}

__device__ Group group_at(const GridFit& fit, Place place) {
  const std::int64_t first = place.column * fit.group_size;
  const float* factor = fit.column_weight != nullptr ? fit.column_weight + first : nullptr;
  const std::int64_t rest = fit.weight.columns - first;
  return {fit.weight.row(place.row) + first, factor, fit.group_size < rest ? fit.group_size : rest};
}

__device__ Range usable_range_of(const Group& group, const GridFit& fit, int lane) {
  const Range seen = range_of(group, lane);
  return usable_range(seen.low, seen.high, fit.max_code, fit.symmetric);
}

__device__ void store(const GridFit& fit, Place place, ScaleZero grid) {
  fit.scale.row(place.row)[place.column] = grid.scale;
  fit.zero.row(place.row)[place.column] = grid.zero;
}

/// One warp per (row, group).
__global__ void fit_groups(GridFit fit) {
  const int lane = lane_index();
  const Place place = place_of(fit, warp_index());
  if (place.row >= fit.weight.rows) return;
  const Group group = group_at(fit, place);
  const Range range = usable_range_of(group, fit, lane);
  const ScaleZero grid =
      fit.clip_trials > 1 ? search_clip(group, fit, range, lane) : trial_grid(fit, range, 0);
  if (lane == 0) store(fit, place, grid);
}

/// One block per (row, group): its warps take trials in turn, and one thread compares them in the
/// order of search_clip.
__global__ void search_groups(GridFit fit) {
  auto* errors = shared_memory<double>();  // (clip_trials)
  const int lane = lane_index();
  const Place place = place_of(fit, blockIdx.x);
  const Group group = group_at(fit, place);
  const Range range = usable_range_of(group, fit, lane);
  for (int trial = static_cast<int>(threadIdx.x) / kWarp; trial < fit.clip_trials;
       trial += kThreads / kWarp) {
    const double error = trial_error(group, trial_grid(fit, range, trial), fit.max_code, lane);
    if (lane == 0) errors[trial] = error;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  int best = 0;
  for (int trial = 1; trial < fit.clip_trials; ++trial) {
    if (!(errors[trial] >= errors[best])) best = trial;
  }
  store(fit, place, trial_grid(fit, range, best));
}

}  // namespace

void fit_grid(const GridFit& fit, void* stream) {
  const std::int64_t groups = fit.weight.rows * fit.scale.columns;
  const std::int64_t error_bytes = fit.clip_trials * static_cast<std::int64_t>(sizeof(double));
  if (fit.clip_trials > 1 && groups < kFewGroups && error_bytes <= kSharedBytes) {
    return launch(search_groups, "grid fitting", {groups, kThreads, error_bytes}, stream, fit);
  }
  launch(fit_groups, "grid fitting", {blocks_for(groups * kWarp, kThreads), kThreads, 0}, stream,
         fit);
}

}  // namespace sgpt_mi::kernels::cuda
