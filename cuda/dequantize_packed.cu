#include <cstdint>

#include "cuda_twins.h"
#include "launch.cuh"
#include "packed_walk.h"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kThreads = 256;

/// One warp per row and stream: lane l takes columns l, l + 32, ... of the stream, and the lanes
/// count the kept ones to their left.
__global__ void dequantize_rows(PackedWeights packed) {
  const auto streams = static_cast<std::int64_t>(packed.stream_count);
  const std::int64_t row = warp_index() / streams;
  if (row >= packed.rows) return;
  const CodeStream& stream = packed.streams.data()[warp_index() % streams];
  const int lane = lane_index();
  const unsigned left_of_lane = (1U << lane) - 1U;
  std::int64_t first = first_code(stream, row);
  for (std::int64_t base = 0; base < stream.columns; base += kWarp) {
    const std::int64_t i = base + lane;
    const bool exists = i < stream.columns;
    const std::int64_t column = exists ? natural_column(stream, i) : 0;
    const bool kept = exists && is_kept(packed.kept, row * packed.columns + column);
    const unsigned all_kept = __ballot_sync(kAllLanes, kept ? 1 : 0);
    if (exists) {
      const std::int64_t index = first + __popc(all_kept & left_of_lane);
      store_weight(packed, stream, row, column, kept, index);
    }
    first += __popc(all_kept);
  }
}

}  // namespace

void dequantize_packed(const PackedWeights& packed, void* stream) {
  const std::int64_t warps = packed.rows * static_cast<std::int64_t>(packed.stream_count);
  launch(dequantize_rows, "dequantization", {blocks_for(warps * kWarp, kThreads), kThreads, 0},
         stream, packed);
}

}  // namespace sgpt_mi::kernels::cuda
