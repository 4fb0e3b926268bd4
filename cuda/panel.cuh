#pragma once

#include <cstdint>

#include "launch.cuh"

// The column loops in panels, for blocks of at most kPanelWidth columns. A block of threads carries
// kPanelRows rows through the columns: in a panel of kWarp columns or fewer, one lane of the first
// warp walks each row, so that its divisions are made once; then all warps bring the later columns
// up to date, lane by column. Every element still gets its changes one by one in the order of the
// columns, so the bits are those of the plain loop.
namespace sgpt_mi::kernels::cuda {

constexpr int kPanelWidth = 128;
constexpr int kPanelRows = kWarp;
constexpr int kPanelWarps = 4;
constexpr int kPanelThreads = kPanelWarps * kWarp;
constexpr int kRowStride = kPanelWidth + 1;    // a column of the rows lies in different banks
constexpr int kByteStride = kWarp + 4;         // the same for bytes
constexpr int kChangeStride = kPanelRows + 1;  // the same for changes
constexpr int kRowsPerWarp = kPanelRows / kPanelWarps;
constexpr int kChunks = kPanelWidth / kWarp;

/// Shared memory of a block of threads. Row r, column j of `current` is at r * kRowStride + j.
struct PanelBuffers {
  float* current;      // (kPanelRows, kRowStride) the matrix that columns change
  float* factor;       // (kWarp, kPanelWidth) the panel's rows of the matrix that spreads changes
  float* change;       // (kWarp, kChangeStride) column of the panel, row
  float* value;        // (kWarp, kChangeStride) the same: the panel's weights
  bool* pruned;        // (kPanelRows, kByteStride) row, column of the panel
  std::uint8_t* code;  // (kPanelRows, kByteStride)
};

constexpr std::int64_t kPanelBytes =
    static_cast<std::int64_t>(sizeof(float)) *
        (kPanelRows * kRowStride + kWarp * kPanelWidth + 2 * kWarp * kChangeStride) +
    2 * kPanelRows * kByteStride;
static_assert(kPanelBytes <= kSharedBytes, "every device grants this much");

__device__ inline PanelBuffers panel_buffers() {
  auto* current = shared_memory<float>();
  float* factor = current + kPanelRows * kRowStride;
  float* change = factor + kWarp * kPanelWidth;
  float* value = change + kWarp * kChangeStride;
  bool* pruned = reinterpret_cast<bool*>(value + kWarp * kChangeStride);
  return {current, factor, change,
          value,   pruned, reinterpret_cast<std::uint8_t*>(pruned + kPanelRows * kByteStride)};
}

/// Columns first .. end - 1.
struct Panel {
  int first;
  int end;
};

/// Columns of a panel: whole groups of m where there are such.
constexpr int panel_columns(std::int64_t m) {
  return m > 1 ? static_cast<int>(kWarp / m * m) : kWarp;
}

/// visit(row of the matrix, row of the block of threads, column of the panel) for the elements of a
/// panel in the rows that exist: warp by row, lane by column.
template <typename Visit>
__device__ void for_panel_elements(std::int64_t rows, Panel panel, const Visit& visit) {
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * kPanelRows;
  const int columns = panel.end - panel.first;
  for (int r = static_cast<int>(threadIdx.x) / kWarp; r < kPanelRows; r += kPanelWarps) {
    if (first_row + r >= rows) return;
    for (int j = lane_index(); j < columns; j += kWarp) visit(first_row + r, r, j);
  }
}

/// Loads the panel's rows of `factor`, from the diagonal on.
__device__ inline void load_factor(const MatrixView<const float>& factor, Panel panel,
                                   float* shared) {
  const int width = static_cast<int>(factor.columns);
  for (int j = panel.first + static_cast<int>(threadIdx.x) / kWarp; j < panel.end;
       j += kPanelWarps) {
    const float* row = factor.row(j);
    for (int k = j + lane_index(); k < width; k += kWarp) {
      shared[(j - panel.first) * kPanelWidth + k] = row[k];
    }
  }
}

/// current[r][k] += change[j][r] * factor[j][k], j after j, for the columns k behind the panel.
__device__ inline void spread_changes(const PanelBuffers& at, Panel panel, int width) {
  const int first_row = static_cast<int>(threadIdx.x) / kWarp * kRowsPerWarp;
  float sum[kRowsPerWarp][kChunks];
  for (int c = 0; c < kChunks; ++c) {
    const int k = panel.end + c * kWarp + lane_index();
    for (int r = 0; r < kRowsPerWarp; ++r) {
      sum[r][c] = k < width ? at.current[(first_row + r) * kRowStride + k] : 0.0F;
    }
  }
  for (int j = 0; j < panel.end - panel.first; ++j) {
    float factor[kChunks];
    for (int c = 0; c < kChunks; ++c) {
      const int k = panel.end + c * kWarp + lane_index();
      factor[c] = k < width ? at.factor[j * kPanelWidth + k] : 0.0F;
    }
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const float change = at.change[j * kChangeStride + first_row + r];
      for (int c = 0; c < kChunks; ++c) sum[r][c] += change * factor[c];
    }
  }
  for (int c = 0; c < kChunks; ++c) {
    const int k = panel.end + c * kWarp + lane_index();
    for (int r = 0; r < kRowsPerWarp; ++r) {
      if (k < width) at.current[(first_row + r) * kRowStride + k] = sum[r][c];
    }
  }
}

}  // namespace sgpt_mi::kernels::cuda
