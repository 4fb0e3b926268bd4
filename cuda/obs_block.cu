#include <cstddef>
#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "grid_rounding.cuh"
#include "launch.cuh"
#include "obs_panels.cuh"

namespace sgpt_mi::kernels::cuda {
namespace {

/// A row's columns and scores in shared memory.
struct RowBuffers {
  float* weight;  // (width)
  bool* pruned;   // (width)
};

/// choose_mask of the CPU twin for columns first .. first + m - 1 of one row; lane l takes columns
/// l, l + 32, ...
__device__ void choose_mask(const ObsBlock& block, std::int64_t first, int lane, RowBuffers row) {
  const NmPattern pattern = block.pattern;
  for (std::int64_t k = lane; k < pattern.m; k += kWarp) {
    const std::int64_t column = first + k;
    const float own = score_of(row.weight[column], block.factor.row(column)[column]);
    std::int64_t rank = 0;
    for (std::int64_t other = 0; other < pattern.m; ++other) {
      const std::int64_t there = first + other;
      const float theirs = score_of(row.weight[there], block.factor.row(there)[there]);
      rank += (other < k ? theirs <= own : theirs < own) ? 1 : 0;
    }
    row.pruned[column] = rank < pattern.n;
  }
  __syncwarp();
}

__device__ void load_row(const ObsBlock& block, std::int64_t r, int lane, RowBuffers row) {
  for (std::int64_t j = lane; j < block.weight.columns; j += kWarp) {
    row.weight[j] = block.weight.row(r)[j];
    row.pruned[j] = block.pattern.m == 0 && block.pruned.row(r)[j];
  }
  __syncwarp();
}

/// One warp per row. All lanes compute the column's error; each updates every 32nd later column.
__global__ void obs_rows(ObsBlock block) {
  float* shared = shared_memory<float>();
  const std::int64_t width = block.weight.columns;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * warps + warp;
  if (r >= block.weight.rows) return;
  bool* masks = reinterpret_cast<bool*>(shared + warps * width);
  const RowBuffers row{shared + warp * width, masks + warp * width};
  load_row(block, r, lane, row);
  double loss = 0.0;
  for (std::int64_t j = 0; j < width; ++j) {
    if (block.pattern.m > 0 && j % block.pattern.m == 0) choose_mask(block, j, lane, row);
    const float* factor_row = block.factor.row(j);
    const float weight = row.weight[j];
    float value = row.pruned[j] ? 0.0F : weight;
    if (block.grid.rounds()) {
      std::uint8_t* code = lane == 0 && block.grid.has_codes() ? block.codes.row(r) + j : nullptr;
      value = round_to_grid(block.grid, r, j, value, code);
    }
    const float error = (weight - value) / factor_row[j];
    loss += 0.5 * static_cast<double>(error) * static_cast<double>(error);
    for (std::int64_t k = j + 1 + lane; k < width; k += kWarp) {
      row.weight[k] -= error * factor_row[k];
    }
    if (lane == 0) {
      block.weight.row(r)[j] = value;
      block.error.row(r)[j] = error;
      if (block.pattern.m > 0) block.pruned.row(r)[j] = row.pruned[j];
    }
    __syncwarp();
  }
  if (lane == 0) block.row_loss[r] += loss;
}

}  // namespace

void obs_block(const ObsBlock& block, void* stream) {
  if (fits_panels(block)) return launch_obs_panels(block, stream);
  launch_rows(obs_rows, "the column loop", block, sizeof(float) + sizeof(bool), stream);
}

}  // namespace sgpt_mi::kernels::cuda
