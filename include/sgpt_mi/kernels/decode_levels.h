#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/host_device.h"

namespace sgpt_mi::kernels {

/// Streams of a chunk; level i of a chunk is in stream i % this.
inline constexpr int kLevelLanes = 8;
/// Frequencies of a table add up to 2^this.
inline constexpr int kFrequencyBits = 12;
inline constexpr std::uint32_t kSlots = 1U << kFrequencyBits;
/// A lane's state is this at its end, and never less.
inline constexpr std::uint32_t kLowestState = 1U << 16;
/// The symbol of a level that its table does not have.
inline constexpr int kEscape = -128;
inline constexpr int kMostLevelTables = 16;  ///< a table's first slot fits 16 bits

/// The slot of a decoding table: symbol, how many slots the symbol has, and which of them this is.
SGPT_MI_HOST_DEVICE constexpr std::uint32_t level_slot(int symbol, std::uint32_t frequency,
                                                       std::uint32_t place) {
  return static_cast<std::uint32_t>(symbol) << 24 | (frequency - 1) << kFrequencyBits | place;
}

/// The state behind a slot, which may be below kLowestState then.
SGPT_MI_HOST_DEVICE inline std::uint32_t state_behind(std::uint32_t state, std::uint32_t slot) {
  return ((slot >> kFrequencyBits & (kSlots - 1)) + 1) * (state >> kFrequencyBits) +
         (slot & (kSlots - 1));
}

SGPT_MI_HOST_DEVICE inline int symbol_of(std::uint32_t slot) {
  return static_cast<std::int32_t>(slot) >> 24;
}

/// A matrix of rANS-coded levels: whole numbers of 16 bits, in chunks of `chunk_rows` rows and
/// `chunk_places` places, row of chunks by row of chunks. A place of a row has a column; a level's
/// table is clamp(row label + label of its place - base, 0, tables - 1). In a chunk the levels go
/// row by row, places ascending.
///
/// A lane is a state of 32 bits, low half first, and words of 16 bits. For every level the symbol
/// in slot state % 2^kFrequencyBits is taken, the state becomes frequency * (state /
/// 2^kFrequencyBits) + place of the slot among the symbol's, and where that is below kLowestState
/// 2^16 times itself plus the next word. After the last level, the lane's escapes in order are
/// read from its last word backwards.
struct LevelStreams {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t chunk_rows = 0;
  std::int64_t chunk_places = 0;
  const std::uint8_t* row_label = nullptr;        ///< (rows)
  const std::uint8_t* place_label = nullptr;      ///< (columns)
  const std::int32_t* column_of_place = nullptr;  ///< (columns); nullptr: 0, 1, 2 ...
  int base = 0;
  int tables = 0;                            ///< 1 .. kMostLevelTables
  const std::uint32_t* slot = nullptr;       ///< (tables, 2^kFrequencyBits)
  const std::uint8_t* bytes = nullptr;       ///< the lanes, one after the other
  const std::int64_t* lane_begin = nullptr;  ///< (chunks * kLevelLanes + 1) into `bytes`
  std::int16_t* levels = nullptr;            ///< (rows, columns), out
  std::uint8_t* ended = nullptr;  ///< (chunks), out: 1 where every lane ended with its last word

  [[nodiscard]] SGPT_MI_HOST_DEVICE std::int64_t chunks_of_row() const {
    return (columns + chunk_places - 1) / chunk_places;
  }
  [[nodiscard]] SGPT_MI_HOST_DEVICE std::int64_t chunks() const {
    return (rows + chunk_rows - 1) / chunk_rows * chunks_of_row();
  }
};

/// The rows and places of a chunk.
struct LevelChunk {
  std::int64_t row = 0;
  std::int64_t rows = 0;
  std::int64_t place = 0;
  std::int64_t places = 0;

  [[nodiscard]] SGPT_MI_HOST_DEVICE std::int64_t count() const { return rows * places; }
};

/// The place of a chunk.
SGPT_MI_HOST_DEVICE inline LevelChunk level_chunk(const LevelStreams& streams, std::int64_t index) {
  LevelChunk chunk;
  chunk.row = index / streams.chunks_of_row() * streams.chunk_rows;
  chunk.place = index % streams.chunks_of_row() * streams.chunk_places;
  const std::int64_t rows = streams.rows - chunk.row;
  const std::int64_t places = streams.columns - chunk.place;
  chunk.rows = rows < streams.chunk_rows ? rows : streams.chunk_rows;
  chunk.places = places < streams.chunk_places ? places : streams.chunk_places;
  return chunk;
}

/// The first slot of the table of a level with these labels.
SGPT_MI_HOST_DEVICE inline std::uint32_t first_slot(const LevelStreams& streams, int row_label,
                                                    int place_label) {
  const int sum = row_label + place_label - streams.base;
  const int table = sum < 0 ? 0 : sum < streams.tables ? sum : streams.tables - 1;
  return static_cast<std::uint32_t>(table) << kFrequencyBits;
}

/// The column at a place.
SGPT_MI_HOST_DEVICE inline std::int64_t column_at(const LevelStreams& streams, std::int64_t place) {
  return streams.column_of_place != nullptr ? streams.column_of_place[place] : place;
}

/// Decodes all chunks, each by itself. Bytes that no encoder wrote give some levels, never a read
/// outside the lanes; `ended` tells whether a chunk can be believed.
///
/// Cost: a few cycles per level; the CPU twin takes 4 bytes per level of a chunk on each thread.
///
/// \throws Error(kInternal) missing memory, numbers out of range.
void decode_levels(const LevelStreams& streams, const Backend& backend);

/// Decodes one chunk on the calling thread: rows of the chunk's places' columns, in memory of its
/// own. False: not to be believed, as above.
/// \param levels  out: the chunk's first row of the matrix, `stride` elements between rows; only
///                the chunk's columns are written.
[[nodiscard]] bool decode_level_chunk(const LevelStreams& streams, std::int64_t chunk,
                                      std::int16_t* levels, std::int64_t stride);

}  // namespace sgpt_mi::kernels
