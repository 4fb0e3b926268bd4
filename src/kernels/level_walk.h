#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/decode_levels.h"
#include "sgpt_mi/kernels/host_device.h"

// One lane of coded levels: what the twins of decode_levels share.
namespace sgpt_mi::kernels {

/// A little-endian word.
SGPT_MI_HOST_DEVICE inline std::uint32_t word_at(const std::uint8_t* bytes) {
  return bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8;
}

/// A lane between two levels.
struct LevelLane {
  std::uint32_t state = 0;
  const std::uint8_t* next = nullptr;  ///< the next word
  const std::uint8_t* end = nullptr;
};

SGPT_MI_HOST_DEVICE inline LevelLane open_lane(const LevelStreams& streams, std::int64_t lane) {
  const std::uint8_t* bytes = streams.bytes + streams.lane_begin[lane];
  return {word_at(bytes) | word_at(bytes + 2) << 16, bytes + 4,
          streams.bytes + streams.lane_begin[lane + 1]};
}

/// The next symbol of a lane; where its words are used up, the state stays low.
SGPT_MI_HOST_DEVICE inline int next_symbol(LevelLane& lane, const std::uint32_t* table) {
  const std::uint32_t slot = table[lane.state & (kSlots - 1)];
  lane.state = state_behind(lane.state, slot);
  if (lane.state < kLowestState && lane.next != lane.end) {
    lane.state = lane.state << 16 | word_at(lane.next);
    lane.next += 2;
  }
  return symbol_of(slot);
}

/// The level that the lane's next escape stands for, from its end; 0 where no word is left.
SGPT_MI_HOST_DEVICE inline std::int16_t next_escape(LevelLane& lane) {
  if (lane.next == lane.end) {
    lane.state = 0;
    return 0;
  }
  lane.end -= 2;
  return static_cast<std::int16_t>(word_at(lane.end));
}

/// Whether all words and the whole state are used up.
SGPT_MI_HOST_DEVICE inline bool is_spent(const LevelLane& lane) {
  return lane.state == kLowestState && lane.next == lane.end;
}

}  // namespace sgpt_mi::kernels
