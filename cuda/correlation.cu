#include <cmath>
#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "launch.cuh"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kTileStride = kTile + 1;  // columns of a tile lie in different banks
constexpr int kThreads = 256;
constexpr int kRowsAtOnce = kThreads / kTile;

/// Writes what the maps want of the correlation of channels i and j to (i, j).
__device__ void store(const CorrelationMap& map, std::int64_t i, std::int64_t j, float rho) {
  if (map.rho.data != nullptr) map.rho.row(i)[j] = rho;
  const float strength = i == j ? 0.0F : fabsf(rho);
  if (map.strength.data != nullptr) map.strength.row(i)[j] = strength;
  if (map.nats.data != nullptr) {
    const auto wide = static_cast<double>(strength);
    map.nats.row(i)[j] = static_cast<float>(nats_of_square(wide * wide));
  }
}

__device__ Channel channel(const CorrelationMap& map, std::int64_t i) {
  return {map.mean[i], map.inverse_deviation[i]};
}

__device__ float correlation_at(const CorrelationMap& map, std::int64_t i, std::int64_t j) {
  if (i == j) return map.inverse_deviation[i] > 0.0 ? 1.0F : 0.0F;
  const double second_moment = static_cast<double>(map.second_moment_sum.row(i)[j]) * map.share;
  return correlation_of(second_moment, channel(map, i), channel(map, j), map.cap);
}

/// One block per tile on or right of the diagonal, which also writes the tile's transpose.
__global__ void correlate_tiles(CorrelationMap map, std::int64_t side) {
  auto* tile = shared_memory<float>();  // (kTile, kTileStride)
  const std::int64_t channels = map.second_moment_sum.rows;
  const std::int64_t row = blockIdx.x / side * kTile;
  const std::int64_t column = blockIdx.x % side * kTile;
  if (column < row) return;
  const int lane = lane_index();
  const int first = static_cast<int>(threadIdx.x) / kTile;
  for (int r = first; r < kTile; r += kRowsAtOnce) {
    const std::int64_t i = row + r;
    const std::int64_t j = column + lane;
    if (i >= channels || j >= channels || j < i) continue;
    const float rho = correlation_at(map, i, j);
    tile[r * kTileStride + lane] = rho;
    store(map, i, j, rho);
  }
  __syncthreads();
  for (int r = first; r < kTile; r += kRowsAtOnce) {
    const std::int64_t i = row + lane;  // column i of row j
    const std::int64_t j = column + r;
    if (i < channels && j < channels && i < j) store(map, j, i, tile[lane * kTileStride + r]);
  }
}

}  // namespace

void correlate(const CorrelationMap& map, void* stream) {
  const std::int64_t side = blocks_for(map.second_moment_sum.rows, kTile);
  launch(correlate_tiles, "the correlation map",
         {side * side, kThreads, kTile * kTileStride * static_cast<std::int64_t>(sizeof(float))},
         stream, map, side);
}

}  // namespace sgpt_mi::kernels::cuda
