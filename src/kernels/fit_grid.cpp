#include "sgpt_mi/kernels/fit_grid.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::kernels {
namespace {

constexpr std::int64_t kLanes = kSumLanes;

/// Weights of one group and the factors of their errors.
struct Group {
  const float* weight;
  const float* factor;  // nullptr: all 1
  std::int64_t count;
};

/// factor * |d|^2.4 of kLanes rounding errors, added to the lanes' sums. The product of two floats
/// is exact in double, so factors of 1 change nothing.
SGPT_MI_SIMD_CLONES void add_trial_errors(const float* __restrict weight,
                                          const float* __restrict factor, ScaleZero grid,
                                          float max_code, double* __restrict sums) {
  float square[kLanes];
  std::uint32_t bits[kLanes];
  float guess[kLanes];
  for (std::int64_t i = 0; i < kLanes; ++i) {
    const float code = code_of(weight[i], grid.scale, grid.zero, max_code);
    const float difference = value_of(code, grid.scale, grid.zero) - weight[i];
    square[i] = difference * difference;
  }
  std::memcpy(bits, square, sizeof bits);
  for (std::int64_t i = 0; i < kLanes; ++i) bits[i] = inverse_fifth_root_guess(bits[i]);
  std::memcpy(guess, bits, sizeof guess);
  for (std::int64_t i = 0; i < kLanes; ++i) {
    const double power = power_six_fifths(square[i], guess[i]);
    sums[i] += static_cast<double>(factor[i]) * power;
  }
}

double trial_error(const Group& group, ScaleZero grid, float max_code) {
  std::array<double, kLanes> sums{};
  std::array<float, kLanes> ones;
  ones.fill(1.0F);
  const std::int64_t whole = group.count - group.count % kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes) {
    const float* factor = group.factor != nullptr ? group.factor + i : ones.data();
    add_trial_errors(group.weight + i, factor, grid, max_code, sums.data());
  }
  if (whole < group.count) {
    std::array<float, kLanes> rest{};  // a zero weight has no rounding error
    std::copy(group.weight + whole, group.weight + group.count, rest.begin());
    if (group.factor != nullptr) {
      std::copy(group.factor + whole, group.factor + group.count, ones.begin());
    }
    add_trial_errors(rest.data(), ones.data(), grid, max_code, sums.data());
  }
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

ScaleZero search_clip(const Group& group, Range range, const GridFit& fit) {
  ScaleZero best{};
  double least = 0.0;
  for (int trial = 0; trial < fit.clip_trials; ++trial) {
    const float share = clip_share(trial, fit.clip_step);
    const ScaleZero grid =
        grid_of_range(share * range.low, share * range.high, fit.max_code, fit.symmetric);
    const double error = trial_error(group, grid, fit.max_code);
    if (trial > 0 && error >= least) continue;
    least = error;
    best = grid;
  }
  return best;
}

ScaleZero fit_group(const Group& group, const GridFit& fit) {
  const auto [low, high] = std::minmax_element(group.weight, group.weight + group.count);
  const Range range = usable_range(*low, *high, fit.max_code, fit.symmetric);
  if (fit.clip_trials > 1) return search_clip(group, range, fit);
  return grid_of_range(range.low, range.high, fit.max_code, fit.symmetric);
}

void check(const GridFit& fit) {
  const std::int64_t rows = fit.weight.rows;
  ensure(fit.weight.data != nullptr && fit.scale.data != nullptr && fit.zero.data != nullptr,
         "fit_grid: a matrix is missing");
  ensure(fit.scale.rows == rows && fit.zero.rows == rows && fit.scale.columns == fit.zero.columns &&
             fit.group_size > 0 &&
             fit.scale.columns == (fit.weight.columns + fit.group_size - 1) / fit.group_size,
         "fit_grid: scale and zero are not (rows, columns / group size)");
  ensure(fit.max_code >= 1.0F, "fit_grid: max_code is below 1");
  ensure(fit.clip_trials >= 1 && fit.clip_step >= 0.0 &&
             clip_share(fit.clip_trials - 1, fit.clip_step) >= kLeastClipShare,
         "fit_grid: the clip search goes below a fifth of the range");
}

}  // namespace

void fit_grid(const GridFit& fit, const Backend& backend) {
  if (fit.weight.rows == 0 || fit.weight.columns == 0) return;
  check(fit);
  if (backend.cuda) return cuda::fit_grid(fit, backend.cuda_stream);
  backend.parallel_for(fit.weight.rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t group = 0; group < fit.scale.columns; ++group) {
        const std::int64_t first = group * fit.group_size;
        const float* factor = fit.column_weight != nullptr ? fit.column_weight + first : nullptr;
        const std::int64_t count = std::min(fit.group_size, fit.weight.columns - first);
        const ScaleZero grid = fit_group({fit.weight.row(row) + first, factor, count}, fit);
        fit.scale.row(row)[group] = grid.scale;
        fit.zero.row(row)[group] = grid.zero;
      }
    }
  });
}

}  // namespace sgpt_mi::kernels
