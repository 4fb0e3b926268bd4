#pragma once

#include <cstdint>

#include "arithmetic.h"
#include "grid_rounding.cuh"
#include "panel.cuh"
#include "sgpt_mi/kernels/descend_block.h"

namespace sgpt_mi::kernels::cuda {

/// Whether descend_panels takes this block.
inline bool fits_panels(const DescentBlock& block) {
  return block.weight.columns <= kPanelWidth && block.support != Support::kPattern;
}

/// One row through a panel's columns; `current` holds the gradient.
__device__ inline void walk_panel(const DescentBlock& block, const PanelBuffers& at, Panel panel,
                                  std::int64_t row) {
  const int r = lane_index();
  float* gradient = at.current + r * kRowStride;
  for (int j = panel.first; j < panel.end; ++j) {
    const float* hessian = at.factor + (j - panel.first) * kPanelWidth;
    const int place = (j - panel.first) * kChangeStride + r;
    const int byte = r * kByteStride + j - panel.first;
    const float weight = at.value[place];
    float value = descended(weight, gradient[j], hessian[j]);
    if (block.support == Support::kThreshold) {
      at.pruned[byte] = !exceeds(value, hessian[j], block.threshold);
    }
    if (at.pruned[byte]) value = 0.0F;
    if (block.grid.rounds()) {
      value = round_to_grid(block.grid, row, j, value, at.code + byte);
    }
    const float change = value - weight;
    for (int k = j + 1; k < panel.end; ++k) gradient[k] += change * hessian[k];
    at.value[place] = value;
    at.change[place] = change;
  }
}

__device__ inline void load_panel(const DescentBlock& block, const PanelBuffers& at, Panel panel) {
  load_factor(block.hessian, panel, at.factor);
  for_panel_elements(block.weight.rows, panel, [&](std::int64_t row, int r, int j) {
    const int column = panel.first + j;
    at.value[j * kChangeStride + r] = block.weight.row(row)[column];
    if (block.support == Support::kKept) {
      at.pruned[r * kByteStride + j] = block.pruned.row(row)[column];
    }
  });
}

/// Writes what a panel's columns have become.
__device__ inline void store_panel(const DescentBlock& block, const PanelBuffers& at, Panel panel) {
  for_panel_elements(block.weight.rows, panel, [&](std::int64_t row, int r, int j) {
    const int column = panel.first + j;
    block.weight.row(row)[column] = at.value[j * kChangeStride + r];
    if (block.support == Support::kThreshold) {
      block.pruned.row(row)[column] = at.pruned[r * kByteStride + j];
    }
    if (block.grid.has_codes()) {
      block.codes.row(row)[column] = at.code[r * kByteStride + j];
    }
  });
}

/// A sweep over kPanelRows rows per block of threads.
__global__ void descend_panels(DescentBlock block) {
  const PanelBuffers at = panel_buffers();
  const std::int64_t rows = block.weight.rows;
  const auto width = static_cast<int>(block.weight.columns);
  for_panel_elements(rows, {0, width}, [&](std::int64_t row, int r, int j) {
    at.current[r * kRowStride + j] = block.gradient.row(row)[j];
  });
  const std::int64_t own_row = static_cast<std::int64_t>(blockIdx.x) * kPanelRows + lane_index();
  for (Panel panel{0, 0}; panel.first < width; panel.first = panel.end) {
    panel.end = panel.first + kWarp < width ? panel.first + kWarp : width;
    load_panel(block, at, panel);
    __syncthreads();
    if (threadIdx.x < kWarp && own_row < rows) walk_panel(block, at, panel, own_row);
    __syncthreads();
    store_panel(block, at, panel);
    spread_changes(at, panel, width);
    __syncthreads();
  }
}

inline void launch_descend_panels(const DescentBlock& block, void* stream) {
  launch(descend_panels, "coordinate descent",
         {blocks_for(block.weight.rows, kPanelRows), kPanelThreads, kPanelBytes}, stream, block);
}

}  // namespace sgpt_mi::kernels::cuda
