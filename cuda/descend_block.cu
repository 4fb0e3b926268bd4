#include <cstddef>
#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "descend_panels.cuh"
#include "grid_rounding.cuh"
#include "launch.cuh"

namespace sgpt_mi::kernels::cuda {
namespace {

/// A row's columns in shared memory.
struct RowBuffers {
  float* weight;    // (width)
  float* gradient;  // (width)
  bool* pruned;     // (width)
};

/// One row of a block, worked on by the lanes of one warp.
struct Row {
  const DescentBlock& block;
  std::int64_t r;
  int lane;
  RowBuffers at;
};

__device__ void load_row(const Row& row) {
  const DescentBlock& block = row.block;
  for (std::int64_t j = row.lane; j < block.weight.columns; j += kWarp) {
    row.at.weight[j] = block.weight.row(row.r)[j];
    row.at.gradient[j] = block.gradient.row(row.r)[j];
    row.at.pruned[j] = block.support != Support::kThreshold && block.pruned.row(row.r)[j];
  }
  __syncwarp();
}

/// gradient[k] += change * H_jk for first <= k < end; lane l takes columns first + l, + 32, ...
__device__ void add_change(const Row& row, std::int64_t j, float change, std::int64_t first,
                           std::int64_t end) {
  const float* hessian = row.block.hessian.row(j);
  for (std::int64_t k = first + row.lane; k < end; k += kWarp) {
    row.at.gradient[k] += change * hessian[k];
  }
}

/// descend_column of the CPU twin. All lanes compute the weight, which is written to the matrix at
/// once: no later column reads it.
__device__ void descend_column(const Row& row, std::int64_t j) {
  const DescentBlock& block = row.block;
  const float diagonal = block.hessian.row(j)[j];
  const float weight = row.at.weight[j];
  float value = descended(weight, row.at.gradient[j], diagonal);
  bool pruned = row.at.pruned[j];
  if (block.support == Support::kThreshold) pruned = !exceeds(value, diagonal, block.threshold);
  if (pruned) value = 0.0F;
  if (block.grid.rounds()) {
    std::uint8_t* code =
        row.lane == 0 && block.grid.has_codes() ? block.codes.row(row.r) + j : nullptr;
    value = round_to_grid(block.grid, row.r, j, value, code);
  }
  add_change(row, j, value - weight, j + 1, block.weight.columns);
  if (row.lane == 0) {
    block.weight.row(row.r)[j] = value;
    if (block.support == Support::kThreshold) block.pruned.row(row.r)[j] = pruned;
  }
  __syncwarp();
}

/// change_weight of the CPU twin; the group's columns are first .. first + m - 1.
__device__ void change_weight(const Row& row, std::int64_t first, std::int64_t j, float value) {
  const float change = value - row.at.weight[j];
  __syncwarp();  // every lane has read what now changes
  if (row.lane == 0) row.at.weight[j] = value;
  add_change(row, j, change, first, first + row.block.pattern.m);
  __syncwarp();
}

__device__ void descend_kept(const Row& row, std::int64_t first) {
  for (std::int64_t j = first; j < first + row.block.pattern.m; ++j) {
    const float optimum =
        descended(row.at.weight[j], row.at.gradient[j], row.block.hessian.row(j)[j]);
    change_weight(row, first, j, row.at.pruned[j] ? 0.0F : optimum);
  }
}

/// An exchange of columns k * m + j of a group; pair -1: none.
struct Exchange {
  float delta;
  std::int32_t pair;
};

/// The exchange with the least delta, the lowest pair of equal ones, in all lanes; lane l weighs
/// pairs l, l + 32, ...
__device__ Exchange best_exchange(const Row& row, std::int64_t first) {
  const std::int64_t m = row.block.pattern.m;
  Exchange best{0.0F, -1};
  for (std::int64_t pair = row.lane; pair < m * m; pair += kWarp) {
    const std::int64_t k = first + pair / m;
    const std::int64_t j = first + pair % m;
    if (row.at.pruned[k] || !row.at.pruned[j]) continue;
    const float* hessian = row.block.hessian.row(k);
    const float delta = exchange_delta(row.at.weight[k], row.at.gradient[k], row.at.gradient[j],
                                       {hessian[k], hessian[j], row.block.hessian.row(j)[j]});
    if (delta < best.delta) best = {delta, static_cast<std::int32_t>(pair)};
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Exchange other{__shfl_xor_sync(kAllLanes, best.delta, offset),
                         __shfl_xor_sync(kAllLanes, best.pair, offset)};
    const bool wins = other.delta < best.delta ||
                      (other.delta == best.delta && other.pair >= 0 && other.pair < best.pair);
    if (wins) best = other;
  }
  return best;
}

/// Makes the best exchange of a group; false when there is none.
__device__ bool exchange(const Row& row, std::int64_t first) {
  const Exchange best = best_exchange(row, first);
  if (best.pair < 0) return false;
  const std::int64_t k = first + best.pair / row.block.pattern.m;
  const std::int64_t j = first + best.pair % row.block.pattern.m;
  change_weight(row, first, k, 0.0F);
  const float optimum =
      descended(row.at.weight[j], row.at.gradient[j], row.block.hessian.row(j)[j]);
  change_weight(row, first, j, optimum);
  if (row.lane == 0) {
    row.at.pruned[k] = true;
    row.at.pruned[j] = false;
  }
  __syncwarp();
  return true;
}

/// descend_group of the CPU twin. The matrix still holds the group's weights before its descent.
__device__ void descend_group(const Row& row, std::int64_t first) {
  const DescentBlock& block = row.block;
  const NmPattern pattern = block.pattern;
  descend_kept(row, first);
  for (std::int64_t step = 0; step < pattern.n && exchange(row, first); ++step) {
  }
  descend_kept(row, first);
  for (std::int64_t j = first; j < first + pattern.m; ++j) {
    const float change = row.at.weight[j] - block.weight.row(row.r)[j];
    add_change(row, j, change, first + pattern.m, block.weight.columns);
  }
  __syncwarp();
  for (std::int64_t j = first + row.lane; j < first + pattern.m; j += kWarp) {
    block.weight.row(row.r)[j] = row.at.weight[j];
    block.pruned.row(row.r)[j] = row.at.pruned[j];
  }
}

/// One warp per row.
__global__ void descend_rows(DescentBlock block) {
  float* shared = shared_memory<float>();
  const std::int64_t width = block.weight.columns;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * warps + warp;
  if (r >= block.weight.rows) return;
  float* gradients = shared + warps * width;
  bool* masks = reinterpret_cast<bool*>(gradients + warps * width);
  const Row row{block,
                r,
                static_cast<int>(threadIdx.x) % kWarp,
                {shared + warp * width, gradients + warp * width, masks + warp * width}};
  load_row(row);
  if (block.support == Support::kPattern) {
    for (std::int64_t j = 0; j < width; j += block.pattern.m) descend_group(row, j);
  } else {
    for (std::int64_t j = 0; j < width; ++j) descend_column(row, j);
  }
}

}  // namespace

void descend_block(const DescentBlock& block, void* stream) {
  if (fits_panels(block)) return launch_descend_panels(block, stream);
  launch_rows(descend_rows, "coordinate descent", block, 2 * sizeof(float) + sizeof(bool), stream);
}

}  // namespace sgpt_mi::kernels::cuda
