#include <cstdint>

#include "cuda_twins.h"
#include "launch.cuh"
#include "level_walk.h"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kThreads = 256;
static_assert(kThreads % kLevelLanes == 0);

/// A level of the matrix: its chunk's place and the address of its value.
__device__ std::int16_t* level_at(const LevelStreams& streams, const LevelChunk& chunk,
                                  std::int64_t i) {
  const std::int64_t row = chunk.row + i / chunk.places;
  return streams.levels + row * streams.columns +
         column_at(streams, chunk.place + i % chunk.places);
}

/// One thread per lane; the lanes of a chunk are neighbours in a warp.
__global__ void decode_lanes(LevelStreams streams) {
  const std::int64_t lane = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const bool exists = lane < streams.chunks() * kLevelLanes;
  bool spent = true;
  if (exists) {
    const LevelChunk chunk = level_chunk(streams, lane / kLevelLanes);
    const std::int64_t first = lane % kLevelLanes;
    LevelLane state = open_lane(streams, lane);
    bool escapes = false;
    for (std::int64_t i = first; i < chunk.count(); i += kLevelLanes) {
      const std::uint32_t slot =
          first_slot(streams, streams.row_label[chunk.row + i / chunk.places],
                     streams.place_label[chunk.place + i % chunk.places]);
      const int symbol = next_symbol(state, streams.slot + slot);
      escapes = escapes || symbol == kEscape;
      *level_at(streams, chunk, i) = static_cast<std::int16_t>(symbol);
    }
    for (std::int64_t i = first; escapes && i < chunk.count(); i += kLevelLanes) {
      std::int16_t* level = level_at(streams, chunk, i);
      if (*level == kEscape) *level = next_escape(state);
    }
    spent = is_spent(state);
  }
  const unsigned all_spent = __ballot_sync(kAllLanes, spent ? 1 : 0);
  if (exists && lane % kLevelLanes == 0) {
    const unsigned of_chunk = all_spent >> lane_index() & ((1U << kLevelLanes) - 1U);
    streams.ended[lane / kLevelLanes] = of_chunk == (1U << kLevelLanes) - 1U ? 1 : 0;
  }
}

}  // namespace

void decode_levels(const LevelStreams& streams, void* stream) {
  launch(decode_lanes, "decoding of levels",
         {blocks_for(streams.chunks() * kLevelLanes, kThreads), kThreads, 0}, stream, streams);
}

}  // namespace sgpt_mi::kernels::cuda
