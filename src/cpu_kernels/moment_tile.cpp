#include "moment_tile.h"

#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The tile is written once, on vectors of a given size, and compiled for several instruction sets:
// the number of rows and vectors is what the set's registers hold. Everything is inlined into one
// function per set, because only that function may use its instructions.
#define SGPT_MI_INLINE __attribute__((always_inline)) inline

namespace sgpt_mi::cpu_kernels {
namespace {

/// Bytes of one vector register, rows of a tile, and vectors a row that are summed at a time.
template <int bytes, int rows, int vectors>
struct Shape {
  typedef float Float __attribute__((vector_size(bytes)));
  static constexpr int kRows = rows;
  static constexpr int kVectors = vectors;
  static constexpr int kLanes = bytes / 4;
  static constexpr int kSpan = kLanes * vectors;  ///< columns of a tile
  static_assert(kMomentColumns % kSpan == 0 && kMomentColumns % rows == 0);
};

/// Adds the tile's columns from `first` on, as many as are summed at a time.
template <typename S>
SGPT_MI_INLINE void add_columns(const MomentTile& tile, std::int64_t first) {
  using Float = typename S::Float;
  const std::uint32_t* rows = tile.rows;
  const std::uint32_t* columns = tile.columns + first;
  Float sums[S::kRows][S::kVectors] = {};
  for (std::int64_t step = 0; step < tile.steps; ++step) {
    Float column[S::kVectors];
    for (int v = 0; v < S::kVectors; ++v) {
      std::memcpy(&column[v], columns + v * S::kLanes, sizeof(Float));
    }
    for (int r = 0; r < S::kRows; ++r) {
      float row;
      std::memcpy(&row, rows + r, sizeof row);
      for (int v = 0; v < S::kVectors; ++v) sums[r][v] += row * column[v];
    }
    rows += kMomentColumns;
    columns += kMomentColumns;
  }
  for (int r = 0; r < S::kRows; ++r) {
    for (int v = 0; v < S::kVectors; ++v) {
      float* place = tile.sums + r * tile.stride + first + v * S::kLanes;
      Float before;
      std::memcpy(&before, place, sizeof before);
      before += sums[r][v];
      std::memcpy(place, &before, sizeof before);
    }
  }
}

template <typename S>
SGPT_MI_INLINE void add_tile(const MomentTile& tile) {
  for (std::int64_t first = 0; first < kMomentColumns; first += S::kSpan) {
    add_columns<S>(tile, first);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void add_avx512(const MomentTile& tile) {
  add_tile<Shape<64, 8, 3>>(tile);
}

__attribute__((target("avx2,fma"))) void add_avx2(const MomentTile& tile) {
  add_tile<Shape<32, 4, 3>>(tile);
}

/// The tile of add_columns with bfloat16 pairs; intrinsics take no part in the templates above,
/// because their vector types do not exist outside of functions for their instruction set.
__attribute__((target("avx512f,avx512bf16"))) void add_bfloat16(const MomentTile& tile) {
  constexpr int kRows = 8;
  constexpr int kVectors = 3;
  const std::uint32_t* rows = tile.rows;
  const std::uint32_t* columns = tile.columns;
  __m512 sums[kRows][kVectors];
  for (auto& row : sums) {
    for (__m512& sum : row) sum = _mm512_setzero_ps();
  }
  for (std::int64_t step = 0; step < tile.steps; ++step) {
    __m512bh column[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      column[v] = reinterpret_cast<__m512bh>(_mm512_load_si512(columns + std::ptrdiff_t{16} * v));
    }
    for (int r = 0; r < kRows; ++r) {
      const __m512bh row = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(rows[r])));
      for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], row, column[v]);
    }
    rows += kMomentColumns;
    columns += kMomentColumns;
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      float* place = tile.sums + r * tile.stride + std::ptrdiff_t{16} * v;
      _mm512_storeu_ps(place, _mm512_add_ps(_mm512_loadu_ps(place), sums[r][v]));
    }
  }
}
#endif

void add_default(const MomentTile& tile) { add_tile<Shape<16, 2, 4>>(tile); }

}  // namespace

std::vector<MomentKernel> moment_kernels() {
  std::vector<MomentKernel> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) kernels.push_back({8, add_avx512});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.push_back({4, add_avx2});
  }
#endif
  kernels.push_back({2, add_default});
  return kernels;
}

std::vector<MomentKernel> bfloat16_moment_kernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) return {{8, add_bfloat16}};
#endif
  return {};
}

}  // namespace sgpt_mi::cpu_kernels
