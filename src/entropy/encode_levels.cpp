#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "level_model.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/entropy/coded_levels.h"

namespace sgpt_mi::entropy {
namespace {

using Bytes = std::vector<std::byte>;
using kernels::kFrequencyBits;

constexpr std::size_t kLanes = kernels::kLevelLanes;

/// A symbol's slots.
struct Slots {
  std::uint32_t first = 0;
  std::uint32_t count = 0;  ///< 0: the symbol is escaped
};

using SymbolSlots = std::array<Slots, kSymbols>;

SymbolSlots slots_of(const FrequencyTable& table) {
  SymbolSlots slots;
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < kSymbols; ++i) {
    slots[i] = {first, table.frequency[i]};
    first += table.frequency[i];
  }
  return slots;
}

/// A lane that is written from its last level to its first.
class LaneWriter {
 public:
  void put(std::int16_t level, const SymbolSlots& symbols) {
    const Slots* slots = &symbols[symbol_index(level)];
    if (slots->count == 0 || slots == symbols.data()) {
      slots = symbols.data();
      escapes_.push_back(static_cast<std::uint16_t>(level));
    }
    if (state_ >> (32 - kFrequencyBits) >= slots->count) {
      words_.push_back(static_cast<std::uint16_t>(state_));
      state_ >>= 16;
    }
    state_ = (state_ / slots->count << kFrequencyBits) + state_ % slots->count + slots->first;
  }

  [[nodiscard]] std::size_t words() const { return words_.size() + escapes_.size(); }

  /// State, words and escapes in the order in which they are read.
  void append_to(Bytes& out) const {
    append(static_cast<std::uint16_t>(state_), out);
    append(static_cast<std::uint16_t>(state_ >> 16), out);
    for (std::size_t i = words_.size(); i-- > 0;) append(words_[i], out);
    for (const std::uint16_t escape : escapes_) append(escape, out);
  }

 private:
  static void append(std::uint16_t word, Bytes& out) {
    out.push_back(static_cast<std::byte>(word & 0xffU));
    out.push_back(static_cast<std::byte>(word >> 8));
  }

  std::uint32_t state_ = kernels::kLowestState;
  std::vector<std::uint16_t> words_;
  std::vector<std::uint16_t> escapes_;
};

/// A chunk's lanes and what `tables` says about them.
struct CodedChunk {
  Bytes lanes;
  Bytes entry;
};

void append_number(std::uint32_t value, std::size_t bytes, Bytes& out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<std::byte>(value >> 8 * i & 0xffU));
  }
}

CodedChunk code_chunk(std::span<const std::int16_t> levels, const kernels::LevelStreams& streams,
                      const std::vector<SymbolSlots>& tables, std::int64_t index) {
  const kernels::LevelChunk chunk = kernels::level_chunk(streams, index);
  std::array<LaneWriter, kLanes> lanes;
  auto i = static_cast<std::size_t>(chunk.count());
  for (std::int64_t row = chunk.row + chunk.rows; row-- > chunk.row;) {
    const std::int16_t* levels_of_row = levels.data() + row * streams.columns;
    for (std::int64_t place = chunk.place + chunk.places; place-- > chunk.place;) {
      const std::uint32_t table =
          kernels::first_slot(streams, streams.row_label[row], streams.place_label[place]) >>
          kFrequencyBits;
      lanes[--i % kLanes].put(levels_of_row[kernels::column_at(streams, place)], tables[table]);
    }
  }
  CodedChunk coded;
  for (const LaneWriter& lane : lanes) lane.append_to(coded.lanes);
  const uLong crc =
      ::crc32_z(0, reinterpret_cast<const Bytef*>(coded.lanes.data()), coded.lanes.size());
  append_number(static_cast<std::uint32_t>(crc), 4, coded.entry);
  for (const LaneWriter& lane : lanes) {
    append_number(static_cast<std::uint32_t>(lane.words()), 2, coded.entry);
  }
  return coded;
}

void append(const Bytes& from, Bytes& to) { to.insert(to.end(), from.begin(), from.end()); }

/// Everything of `tables` but the chunks' entries.
void append_model(const LevelModel& model, int row_width, int column_width, Bytes& out) {
  BitWriter bits(out);
  for (const std::uint8_t label : model.row_label) bits.put(label, row_width);
  for (const std::uint8_t label : model.column_label) bits.put(label, column_width);
  for (const FrequencyTable& table : model.tables) put_table(table, bits);
}

}  // namespace

CodedLevels encode_levels(std::span<const std::int16_t> levels, std::int64_t rows,
                          std::int64_t columns, const ParallelFor& parallel_for) {
  ensure(rows >= 1 && columns >= 1 && static_cast<std::int64_t>(levels.size()) / columns == rows &&
             static_cast<std::int64_t>(levels.size()) % columns == 0,
         "entropy: the levels are not rows * columns, or none");
  const ArrangedModel arranged(choose_model(levels, rows, columns), rows, columns);
  const LevelModel& model = arranged.model();
  std::vector<SymbolSlots> tables;
  for (const FrequencyTable& table : model.tables) tables.push_back(slots_of(table));
  std::vector<CodedChunk> chunks(static_cast<std::size_t>(arranged.streams().chunks()));
  parallel_for(arranged.streams().chunks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      chunks[static_cast<std::size_t>(i)] = code_chunk(levels, arranged.streams(), tables, i);
    }
  });
  const int row_width = label_width(model.row_label);
  const int column_width = label_width(model.column_label);
  CodedLevels coded;
  for (const int number :
       {static_cast<int>(model.tables.size()), model.base, row_width, column_width}) {
    coded.tables.push_back(static_cast<std::byte>(number));
  }
  for (CodedChunk& chunk : chunks) {
    append(chunk.entry, coded.tables);
    append(chunk.lanes, coded.streams);
    chunk = {};
  }
  Bytes bits;
  append_model(model, row_width, column_width, bits);
  append(bits, coded.tables);
  return coded;
}

}  // namespace sgpt_mi::entropy
