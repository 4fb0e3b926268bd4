#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "sgpt_mi/kernels/decode_levels.h"
#include "support/matrix.h"
#include "support/twin_device.h"

namespace sgpt_mi::test {

/// What kind of matrix LevelProblem makes.
struct LevelShape {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  std::int64_t chunk_rows = 1;
  std::int64_t chunk_places = 1;
  int tables = 1;
  bool sorted = false;   ///< places are other columns than 0, 1, 2 ...
  bool escaped = false;  ///< every level is; then the lanes end as they should
};

/// Random lanes: every sequence of words decodes to something, so no encoder is needed to compare
/// devices. The tables have equally frequent symbols, -3 .. 3 and the escape.
class LevelProblem {
 public:
  LevelProblem(const LevelShape& shape, unsigned seed) : engine_(seed) {
    streams_.rows = shape.rows;
    streams_.columns = shape.columns;
    streams_.chunk_rows = shape.chunk_rows;
    streams_.chunk_places = shape.chunk_places;
    streams_.tables = shape.tables;
    streams_.base = 1;
    for (std::int64_t r = 0; r < shape.rows; ++r) row_label_.push_back(small());
    for (std::int64_t j = 0; j < shape.columns; ++j) {
      place_label_.push_back(small());
      if (shape.sorted) {
        column_of_place_.push_back(static_cast<std::int32_t>(shape.columns - 1 - j));
      }
    }
    if (shape.escaped) {
      for (std::int64_t chunk = 0; chunk < streams_.chunks(); ++chunk) add_escaped(chunk);
      return;
    }
    for (int table = 0; table < shape.tables; ++table) add_table(table);
    for (std::int64_t lane = 0; lane < streams_.chunks() * kernels::kLevelLanes; ++lane) {
      add_lane(engine_() % 199);
    }
  }

  /// The levels in row 0 and up, and whether each chunk ended, in the last row.
  [[nodiscard]] Matrix<std::int16_t> run(TwinDevice& device) const {
    kernels::LevelStreams streams = streams_;
    streams.row_label = placed(device, row_label_);
    streams.place_label = placed(device, place_label_);
    if (!column_of_place_.empty()) streams.column_of_place = placed(device, column_of_place_);
    streams.slot = placed(device, slots_);
    streams.bytes = placed(device, bytes_);
    streams.lane_begin = placed(device, begins_);
    const std::int64_t chunks = streams.chunks();
    const PlacedMatrix<std::int16_t> levels(device, {streams.rows, streams.columns, kGuard});
    const PlacedMatrix<std::uint8_t> ended(device, {1, chunks, 7});
    streams.levels = levels.view().data;
    streams.ended = ended.view().data;
    kernels::decode_levels(streams, device.backend);
    const Matrix<std::int16_t> found = levels.fetched();
    const Matrix<std::uint8_t> ends = ended.fetched();
    Matrix<std::int16_t> result(streams.rows + chunks, streams.columns, 0);
    for (std::int64_t r = 0; r < streams.rows; ++r) {
      for (std::int64_t j = 0; j < streams.columns; ++j) result(r, j) = found(r, j);
    }
    for (std::int64_t c = 0; c < chunks; ++c) result(streams.rows + c, 0) = ends(0, c);
    return result;
  }

  /// What run() should give, lane by lane as the format's description says.
  [[nodiscard]] Matrix<std::int16_t> expected() const {
    const std::int64_t chunks = streams_.chunks();
    Matrix<std::int16_t> result(streams_.rows + chunks, streams_.columns, 0);
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      bool ended = true;
      for (std::int64_t lane = 0; lane < kernels::kLevelLanes; ++lane) {
        ended = decode_lane(chunk, lane, result) && ended;
      }
      result(streams_.rows + chunk, 0) = ended ? 1 : 0;
    }
    return result;
  }

  static constexpr std::int16_t kGuard = 0x5a5a;

 private:
  bool decode_lane(std::int64_t chunk, std::int64_t lane, Matrix<std::int16_t>& result) const {
    const kernels::LevelChunk place = kernels::level_chunk(streams_, chunk);
    const auto at = static_cast<std::size_t>(chunk * kernels::kLevelLanes + lane);
    std::vector<std::uint32_t> words;
    for (auto b = static_cast<std::size_t>(begins_[at]);
         b < static_cast<std::size_t>(begins_[at + 1]); b += 2) {
      words.push_back(bytes_[b] + 256U * bytes_[b + 1]);
    }
    std::uint32_t state = words[0] + (words[1] << 16);
    words.erase(words.begin(), words.begin() + 2);
    std::vector<std::int16_t*> escapes;
    for (std::int64_t i = lane; i < place.count(); i += kernels::kLevelLanes) {
      const std::int64_t row = place.row + i / place.places;
      const auto p = static_cast<std::size_t>(place.place + i % place.places);
      const int sum = row_label_[static_cast<std::size_t>(row)] + place_label_[p] - streams_.base;
      const int table = std::min(std::max(sum, 0), streams_.tables - 1);
      const std::uint32_t slot =
          slots_[static_cast<std::size_t>(table) * kernels::kSlots + state % kernels::kSlots];
      state = ((slot >> 12) % 4096 + 1) * (state / kernels::kSlots) + slot % 4096;
      if (state < 65536 && !words.empty()) {
        state = state * 65536 + words.front();
        words.erase(words.begin());
      }
      std::int16_t& level = result(
          row, column_of_place_.empty() ? static_cast<std::int64_t>(p) : column_of_place_[p]);
      level = static_cast<std::int8_t>(slot >> 24);
      if (level == kernels::kEscape) escapes.push_back(&level);
    }
    for (std::int16_t* level : escapes) {
      if (words.empty()) state = 0;
      *level = static_cast<std::int16_t>(words.empty() ? 0 : words.back());
      if (!words.empty()) words.pop_back();
    }
    return state == 65536 && words.empty();
  }

  std::uint8_t small() { return static_cast<std::uint8_t>(engine_() % 4); }

  /// Eight symbols of 2^9 slots each, in another order in every table.
  void add_table(int table) {
    constexpr std::uint32_t kEach = kernels::kSlots / 8;
    for (std::uint32_t i = 0; i < 8; ++i) {
      const int symbol = static_cast<int>((i + static_cast<std::uint32_t>(table)) % 8) - 4;
      for (std::uint32_t place = 0; place < kEach; ++place) {
        slots_.push_back(
            kernels::level_slot(symbol == -4 ? kernels::kEscape : symbol, kEach, place));
      }
    }
  }

  /// Some lanes have too many words, some too few.
  void add_lane(std::size_t words) {
    for (std::size_t i = 0; i < 4 + 2 * words; ++i)
      bytes_.push_back(static_cast<std::uint8_t>(engine_()));
    begins_.push_back(static_cast<std::int64_t>(bytes_.size()));
  }

  /// Lanes whose state never changes and whose words are the levels.
  void add_escaped(std::int64_t chunk) {
    const auto levels = static_cast<std::size_t>(kernels::level_chunk(streams_, chunk).count());
    for (std::size_t lane = 0; lane < kernels::kLevelLanes; ++lane) {
      const std::size_t begin = bytes_.size();
      add_lane((levels + kernels::kLevelLanes - 1 - lane) / kernels::kLevelLanes);
      for (std::size_t i = 0; i < 4; ++i) bytes_[begin + i] = i == 2 ? 1 : 0;
    }
    slots_.clear();
    for (std::uint32_t i = 0; i < kernels::kSlots; ++i) {
      slots_.push_back(kernels::level_slot(kernels::kEscape, kernels::kSlots, i));
    }
  }

  std::mt19937 engine_;
  kernels::LevelStreams streams_;
  std::vector<std::uint8_t> row_label_;
  std::vector<std::uint8_t> place_label_;
  std::vector<std::int32_t> column_of_place_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::int64_t> begins_{0};
};

/// Chunks of whole rows and of parts of rows, one table and several, sorted places.
inline std::vector<LevelShape> level_shapes() {
  return {{1, 1, 1, 1, 1},
          {3, 7, 3, 7, 3, true},
          {9, 40, 4, 40, 5, true},
          {70, 13, 10, 13, 7, false},
          {3, 1000, 1, 400, 4, true},
          {300, 5, 7, 5, 2},
          {31, 5, 7, 5, 1, true, true}};
}

}  // namespace sgpt_mi::test
