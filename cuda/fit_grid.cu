#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "device_status.h"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kWarp = kSumLanes;
constexpr unsigned kThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffU;

/// The range of a group's weights, in all lanes of the warp.
__device__ Range range_of(const float* weight, std::int64_t count, int lane) {
  float low = 0.0F;
  float high = 0.0F;
  for (std::int64_t i = lane; i < count; i += kWarp) {
    low = fminf(low, weight[i]);
    high = fmaxf(high, weight[i]);
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    low = fminf(low, __shfl_xor_sync(kAllLanes, low, offset));
    high = fmaxf(high, __shfl_xor_sync(kAllLanes, high, offset));
  }
  return {low, high};
}

/// Sum of |q - w|^2.4 over a group, in all lanes of the warp.
__device__ double trial_error(const float* weight, std::int64_t count, ScaleZero grid,
                              float max_code, int lane) {
  double sum = 0.0;
  for (std::int64_t i = lane; i < count; i += kWarp) {
    const float code = code_of(weight[i], grid.scale, grid.zero, max_code);
    const float difference = value_of(code, grid.scale, grid.zero) - weight[i];
    const float square = difference * difference;
    const float guess = __uint_as_float(inverse_fifth_root_guess(__float_as_uint(square)));
    sum += static_cast<double>(power_six_fifths(square, guess));
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(kAllLanes, sum, offset);
  }
  return sum;
}

__device__ ScaleZero search_clip(const float* weight, const GridFit& fit, Range range, int lane) {
  ScaleZero best{};
  double least = 0.0;
  for (int trial = 0; trial < kClipTrials; ++trial) {
    const float share = clip_share(trial);
    const ScaleZero grid =
        grid_of_range(share * range.low, share * range.high, fit.max_code, fit.symmetric);
    const double error = trial_error(weight, fit.group_size, grid, fit.max_code, lane);
    if (trial > 0 && error >= least) continue;
    least = error;
    best = grid;
  }
  return best;
}

/// One warp per (row, group).
__global__ void fit_groups(GridFit fit) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int lane = static_cast<int>(thread % kWarp);
  const std::int64_t row = thread / kWarp / fit.scale.columns;
  const std::int64_t group = thread / kWarp % fit.scale.columns;
  if (row >= fit.weight.rows) return;
  const float* weight = fit.weight.row(row) + group * fit.group_size;
  const Range seen = range_of(weight, fit.group_size, lane);
  const Range range = usable_range(seen.low, seen.high, fit.max_code, fit.symmetric);
  const ScaleZero grid = fit.clip_search
                             ? search_clip(weight, fit, range, lane)
                             : grid_of_range(range.low, range.high, fit.max_code, fit.symmetric);
  if (lane == 0) {
    fit.scale.row(row)[group] = grid.scale;
    fit.zero.row(row)[group] = grid.zero;
  }
}

}  // namespace

void fit_grid(const GridFit& fit, void* stream) {
  const std::int64_t threads = fit.weight.rows * fit.scale.columns * kWarp;
  const auto blocks = static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  fit_groups<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(fit);
  check_launch("grid fitting");
}

}  // namespace sgpt_mi::kernels::cuda
