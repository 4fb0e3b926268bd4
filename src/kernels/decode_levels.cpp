#include "sgpt_mi/kernels/decode_levels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>

#include "cuda_twins.h"
#include "level_walk.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels {
namespace {

constexpr std::size_t kChunkLanes = kLevelLanes;
using Lanes = std::array<LevelLane, kChunkLanes>;

void check_streams(const LevelStreams& streams) {
  ensure(streams.rows >= 1 && streams.columns >= 1 && streams.chunk_rows >= 1 &&
             streams.chunk_places >= 1 &&
             (streams.chunk_places == streams.columns || streams.chunk_rows == 1),
         "decode_levels: a matrix without levels, or chunks that are no runs of levels");
  ensure(streams.tables >= 1 && streams.tables <= kMostLevelTables,
         "decode_levels: too many tables, or none");
  ensure(streams.row_label != nullptr && streams.place_label != nullptr &&
             streams.slot != nullptr && streams.bytes != nullptr && streams.lane_begin != nullptr,
         "decode_levels: labels, tables or lanes are missing");
}

/// The first slots of the tables of all levels of a chunk, in the chunk's order.
std::unique_ptr<std::uint16_t[]> tables_of(const LevelStreams& streams, const LevelChunk& chunk) {
  auto result =
      std::make_unique_for_overwrite<std::uint16_t[]>(static_cast<std::size_t>(chunk.count()));
  std::array<const std::uint16_t*, 256> made{};  // the row with each label
  for (std::int64_t r = 0; r < chunk.rows; ++r) {
    std::uint16_t* row = result.get() + r * chunk.places;
    const std::uint8_t label = streams.row_label[chunk.row + r];
    if (made[label] != nullptr) {
      std::copy_n(made[label], chunk.places, row);
      continue;
    }
    made[label] = row;
    for (std::int64_t i = 0; i < chunk.places; ++i) {
      row[i] = static_cast<std::uint16_t>(
          first_slot(streams, label, streams.place_label[chunk.place + i]));
    }
  }
  return result;
}

/// Words that every lane still has.
std::int64_t words_left(const Lanes& lanes) {
  std::int64_t least = lanes[0].end - lanes[0].next;
  for (const LevelLane& lane : lanes) least = std::min(least, lane.end - lane.next);
  return least / 2;
}

/// Decodes `groups` levels of every lane, which all have as many words. Without branches: whether a
/// level takes a word is not predictable.
void decode_groups(const std::uint32_t* slots, const std::uint16_t* table, std::int64_t groups,
                   Lanes& lanes, std::int16_t* levels) {
  std::array<std::uint32_t, kChunkLanes> state;
  std::array<const std::uint8_t*, kChunkLanes> next;
  for (std::size_t l = 0; l < kChunkLanes; ++l) {
    state[l] = lanes[l].state;
    next[l] = lanes[l].next;
  }
  for (std::int64_t g = 0; g < groups; ++g) {
#pragma GCC unroll 8
    for (std::size_t l = 0; l < kChunkLanes; ++l) {
      const std::uint32_t slot = slots[table[l] + (state[l] & (kSlots - 1))];
      const std::uint32_t low = state_behind(state[l], slot);
      const std::size_t takes = low < kLowestState ? 1 : 0;
      const std::uint32_t refilled = low << 16 | word_at(next[l]);
      state[l] = low ^ ((low ^ refilled) & (0U - static_cast<std::uint32_t>(takes)));
      next[l] += 2 * takes;
      levels[l] = static_cast<std::int16_t>(symbol_of(slot));
    }
    table += kChunkLanes;
    levels += kChunkLanes;
  }
  for (std::size_t l = 0; l < kChunkLanes; ++l) {
    lanes[l].state = state[l];
    lanes[l].next = next[l];
  }
}

/// The symbols of a chunk, in its order.
void decode_symbols(const LevelStreams& streams, const LevelChunk& chunk, Lanes& lanes,
                    std::int16_t* levels) {
  const std::unique_ptr<std::uint16_t[]> table = tables_of(streams, chunk);
  const std::int64_t count = chunk.count();
  std::int64_t i = 0;
  while (i + kLevelLanes <= count) {
    const std::int64_t groups = std::min(words_left(lanes), (count - i) / kLevelLanes);
    if (groups == 0) break;
    decode_groups(streams.slot, table.get() + i, groups, lanes, levels + i);
    i += groups * kLevelLanes;
  }
  for (; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    levels[i] =
        static_cast<std::int16_t>(next_symbol(lanes[at % kChunkLanes], streams.slot + table[at]));
  }
}

}  // namespace

bool decode_level_chunk(const LevelStreams& streams, std::int64_t index, std::int16_t* levels,
                        std::int64_t stride) {
  const LevelChunk chunk = level_chunk(streams, index);
  Lanes lanes;
  for (std::size_t l = 0; l < kChunkLanes; ++l) {
    lanes[l] = open_lane(streams, index * kLevelLanes + static_cast<std::int64_t>(l));
  }
  const std::int64_t count = chunk.count();
  const auto decoded =
      std::make_unique_for_overwrite<std::int16_t[]>(static_cast<std::size_t>(count));
  decode_symbols(streams, chunk, lanes, decoded.get());
  const auto escaped = static_cast<std::int16_t>(kEscape);
  std::int16_t* const end = decoded.get() + count;
  for (std::int16_t* at = std::find(decoded.get(), end, escaped); at != end;
       at = std::find(at + 1, end, escaped)) {
    *at = next_escape(lanes[static_cast<std::size_t>(at - decoded.get()) % kChunkLanes]);
  }
  for (std::int64_t r = 0; r < chunk.rows; ++r) {
    const std::int16_t* row = decoded.get() + r * chunk.places;
    std::int16_t* out = levels + r * stride;
    if (streams.column_of_place == nullptr) {
      std::copy_n(row, chunk.places, out + chunk.place);
      continue;
    }
    const std::int32_t* column = streams.column_of_place + chunk.place;
    for (std::int64_t i = 0; i < chunk.places; ++i) out[column[i]] = row[i];
  }
  return std::all_of(lanes.begin(), lanes.end(), is_spent);
}

void decode_levels(const LevelStreams& streams, const Backend& backend) {
  check_streams(streams);
  ensure(streams.levels != nullptr && streams.ended != nullptr,
         "decode_levels: no place for the levels");
  if (backend.cuda) return cuda::decode_levels(streams, backend.cuda_stream);
  backend.parallel_for(streams.chunks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      std::int16_t* rows = streams.levels + level_chunk(streams, chunk).row * streams.columns;
      streams.ended[chunk] = decode_level_chunk(streams, chunk, rows, streams.columns) ? 1 : 0;
    }
  });
}

}  // namespace sgpt_mi::kernels
