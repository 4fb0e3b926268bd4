#pragma once

#include <cstdint>

#include "arithmetic.h"
#include "grid_rounding.cuh"
#include "panel.cuh"

namespace sgpt_mi::kernels::cuda {

/// Whether obs_panels takes this block.
inline bool fits_panels(const ObsBlock& block) {
  return block.weight.columns <= kPanelWidth && block.pattern.m <= kWarp;
}

/// choose_mask of the CPU twin for columns j .. j + m - 1 of one row; the scores lie where the
/// columns' changes will.
__device__ inline void choose_panel_mask(NmPattern pattern, const PanelBuffers& at, Panel panel,
                                         int j, int r) {
  const auto m = static_cast<int>(pattern.m);
  float* score = at.change + (j - panel.first) * kChangeStride + r;
  for (int k = 0; k < m; ++k) {
    const float diagonal = at.factor[(j + k - panel.first) * kPanelWidth + j + k];
    score[k * kChangeStride] = score_of(at.current[r * kRowStride + j + k], diagonal);
  }
  for (int k = 0; k < m; ++k) {
    const float own = score[k * kChangeStride];
    int rank = 0;
    for (int other = 0; other < m; ++other) {
      const float theirs = score[other * kChangeStride];
      rank += (other < k ? theirs <= own : theirs < own) ? 1 : 0;
    }
    at.pruned[r * kByteStride + j + k - panel.first] = rank < pattern.n;
  }
}

/// One row through a panel's columns. Returns the row's loss so far.
__device__ inline double walk_panel(const ObsBlock& block, const PanelBuffers& at, Panel panel,
                                    std::int64_t row, double loss) {
  const int r = lane_index();
  float* weights = at.current + r * kRowStride;
  for (int j = panel.first; j < panel.end; ++j) {
    if (block.pattern.m > 0 && j % block.pattern.m == 0) {
      choose_panel_mask(block.pattern, at, panel, j, r);
    }
    const float* factor = at.factor + (j - panel.first) * kPanelWidth;
    const float weight = weights[j];
    const int byte = r * kByteStride + j - panel.first;
    float value = at.pruned[byte] ? 0.0F : weight;
    if (block.grid.rounds()) {
      value = round_to_grid(block.grid, row, j, value, at.code + byte);
    }
    const float error = (weight - value) / factor[j];
    loss += 0.5 * static_cast<double>(error) * static_cast<double>(error);
    for (int k = j + 1; k < panel.end; ++k) weights[k] -= error * factor[k];
    at.value[(j - panel.first) * kChangeStride + r] = value;
    at.change[(j - panel.first) * kChangeStride + r] = -error;
  }
  return loss;
}

/// Writes what a panel's columns have become.
__device__ inline void store_panel(const ObsBlock& block, const PanelBuffers& at, Panel panel) {
  for_panel_elements(block.weight.rows, panel, [&](std::int64_t row, int r, int j) {
    const int column = panel.first + j;
    block.weight.row(row)[column] = at.value[j * kChangeStride + r];
    block.error.row(row)[column] = -at.change[j * kChangeStride + r];
    if (block.pattern.m > 0) block.pruned.row(row)[column] = at.pruned[r * kByteStride + j];
    if (block.grid.has_codes()) {
      block.codes.row(row)[column] = at.code[r * kByteStride + j];
    }
  });
}

/// The column loop for kPanelRows rows per block of threads.
__global__ void obs_panels(ObsBlock block) {
  const PanelBuffers at = panel_buffers();
  const std::int64_t rows = block.weight.rows;
  const auto width = static_cast<int>(block.weight.columns);
  for_panel_elements(rows, {0, width}, [&](std::int64_t row, int r, int j) {
    at.current[r * kRowStride + j] = block.weight.row(row)[j];
  });
  const std::int64_t own_row = static_cast<std::int64_t>(blockIdx.x) * kPanelRows + lane_index();
  const bool walks = threadIdx.x < kWarp && own_row < rows;
  const int step = panel_columns(block.pattern.m);
  double loss = 0.0;
  for (Panel panel{0, 0}; panel.first < width; panel.first = panel.end) {
    panel.end = panel.first + step < width ? panel.first + step : width;
    load_factor(block.factor, panel, at.factor);
    if (block.pattern.m == 0) {
      for_panel_elements(rows, panel, [&](std::int64_t row, int r, int j) {
        at.pruned[r * kByteStride + j] = block.pruned.row(row)[panel.first + j];
      });
    }
    __syncthreads();
    if (walks) loss = walk_panel(block, at, panel, own_row, loss);
    __syncthreads();
    store_panel(block, at, panel);
    spread_changes(at, panel, width);
    __syncthreads();
  }
  if (walks) block.row_loss[own_row] += loss;
}

inline void launch_obs_panels(const ObsBlock& block, void* stream) {
  launch(obs_panels, "the column loop",
         {blocks_for(block.weight.rows, kPanelRows), kPanelThreads, kPanelBytes}, stream, block);
}

}  // namespace sgpt_mi::kernels::cuda
