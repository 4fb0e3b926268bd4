#include <zlib.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lane_writer.h"
#include "level_labels.h"
#include "level_model.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/entropy/coded_levels.h"

namespace sgpt_mi::entropy {
namespace {

using Bytes = std::vector<std::byte>;
constexpr std::size_t kLanes = kernels::kLevelLanes;

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
          kernels::kFrequencyBits;
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
void append_model(const LevelModel& model, Bytes& out) {
  BitWriter bits(out);
  if (has_labels(model.row_label)) put_labels(model.row_label, bits);
  if (has_labels(model.column_label)) put_labels(model.column_label, bits);
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
  for (const FrequencyTable& table : model.tables) tables.push_back(symbol_slots(table));
  std::vector<CodedChunk> chunks(static_cast<std::size_t>(arranged.streams().chunks()));
  parallel_for(arranged.streams().chunks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      chunks[static_cast<std::size_t>(i)] = code_chunk(levels, arranged.streams(), tables, i);
    }
  });
  CodedLevels coded;
  for (const int number :
       {static_cast<int>(model.tables.size()), model.base, has_labels(model.row_label) ? 1 : 0,
        has_labels(model.column_label) ? 1 : 0}) {
    coded.tables.push_back(static_cast<std::byte>(number));
  }
  for (CodedChunk& chunk : chunks) {
    append(chunk.entry, coded.tables);
    append(chunk.lanes, coded.streams);
    chunk = {};
  }
  Bytes bits;
  append_model(model, bits);
  append(bits, coded.tables);
  return coded;
}

}  // namespace sgpt_mi::entropy
