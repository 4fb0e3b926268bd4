#include <cstdint>

#include "cuda_twins.h"
#include "launch.cuh"
#include "level_walk.h"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kThreads = 256;
static_assert(kThreads % kLevelLanes == 0);

/// Calls visit(row, place) for the levels of a lane, in its order.
template <typename Visit>
__device__ void for_levels(const LevelChunk& chunk, std::int64_t lane, const Visit& visit) {
  std::int64_t row = lane / chunk.places;
  std::int64_t place = lane % chunk.places;
  while (row < chunk.rows) {
    visit(chunk.row + row, chunk.place + place);
    place += kLevelLanes;
    while (place >= chunk.places) {
      place -= chunk.places;
      ++row;
    }
  }
}

/// Decodes a lane; false where it does not end with its last word.
__device__ bool decode_lane(const LevelStreams& streams, std::int64_t index) {
  const LevelChunk chunk = level_chunk(streams, index / kLevelLanes);
  const std::int64_t first = index % kLevelLanes;
  LevelLane lane = open_lane(streams, index);
  bool escapes = false;
  for_levels(chunk, first, [&](std::int64_t row, std::int64_t place) {
    const std::uint32_t slot =
        first_slot(streams, streams.row_label[row], streams.place_label[place]);
    const int symbol = next_symbol(lane, streams.slot + slot);
    escapes = escapes || symbol == kEscape;
    streams.levels[row * streams.columns + column_at(streams, place)] =
        static_cast<std::int16_t>(symbol);
  });
  if (!escapes) return is_spent(lane);
  for_levels(chunk, first, [&](std::int64_t row, std::int64_t place) {
    std::int16_t& level = streams.levels[row * streams.columns + column_at(streams, place)];
    if (level == kEscape) level = next_escape(lane);
  });
  return is_spent(lane);
}

/// One thread per lane; the lanes of a chunk are neighbours in a warp.
__global__ void decode_lanes(LevelStreams streams) {
  const std::int64_t lane = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const bool exists = lane < streams.chunks() * kLevelLanes;
  const bool spent = exists && decode_lane(streams, lane);
  const unsigned all_spent = __ballot_sync(kAllLanes, spent ? 1 : 0);
  if (exists && lane % kLevelLanes == 0) {
    constexpr unsigned kAllOfChunk = (1U << kLevelLanes) - 1U;
    const bool ended = (all_spent >> lane_index() & kAllOfChunk) == kAllOfChunk;
    streams.ended[lane / kLevelLanes] = ended ? 1 : 0;
  }
}

}  // namespace

void decode_levels(const LevelStreams& streams, void* stream) {
  launch(decode_lanes, "decoding of levels",
         {blocks_for(streams.chunks() * kLevelLanes, kThreads), kThreads, 0}, stream, streams);
}

}  // namespace sgpt_mi::kernels::cuda
