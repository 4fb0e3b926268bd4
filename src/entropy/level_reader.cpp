#include <zlib.h>

#include <algorithm>
#include <utility>

#include "level_labels.h"
#include "level_model.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/entropy/coded_levels.h"

namespace sgpt_mi::entropy {
namespace {

template <typename... Args>
[[noreturn]] void refuse(const std::string& part, fmt::format_string<Args...> format,
                         Args&&... args) {
  fail(ErrorKind::kInput, "{} {}", part, fmt::format(format, std::forward<Args>(args)...));
}

std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= std::to_integer<std::uint32_t>(bytes[at + i]) << 8 * i;
  }
  return value;
}

/// A byte of the header, within its range.
int header_number(const CodedView& coded, std::size_t at, const char* what, int low, int high) {
  const int number = std::to_integer<int>(coded.tables[at]);
  if (number < low || number > high) {
    refuse(coded.tables_name, "has {} {}; {} to {} was expected: the file is damaged", what, number,
           low, high);
  }
  return number;
}

std::vector<std::uint8_t> read_labels(const CodedView& coded, BitReader& bits, bool stored,
                                      std::int64_t count, const char* what) {
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(count));
  if (stored && !take_labels(bits, labels)) {
    refuse(coded.tables_name, "holds no {} labels of {}: the file is damaged", count, what);
  }
  return labels;
}

std::size_t first_bits(const kernels::LevelStreams& chunks) {
  return kHeaderBytes + static_cast<std::size_t>(chunks.chunks()) * kChunkBytes;
}

LevelModel read_model(const CodedView& coded, const kernels::LevelStreams& chunks) {
  LevelModel model;
  model.tables.resize(static_cast<std::size_t>(table_count(coded)));
  model.base = header_number(coded, 1, "base", 0, kMostBase);
  const bool rows = header_number(coded, 2, "labels of rows", 0, 1) == 1;
  const bool columns = header_number(coded, 3, "labels of columns", 0, 1) == 1;
  BitReader bits(coded.tables.subspan(first_bits(chunks)));
  model.row_label = read_labels(coded, bits, rows, chunks.rows, "rows");
  model.column_label = read_labels(coded, bits, columns, chunks.columns, "columns");
  for (std::size_t i = 0; i < model.tables.size(); ++i) {
    if (!take_table(bits, model.tables[i])) {
      refuse(coded.tables_name,
             "holds no frequencies that add up to {} for table {}: the file is damaged",
             kernels::kSlots, i);
    }
  }
  if (!bits.at_end()) {
    refuse(coded.tables_name, "does not end with its last table: the file is damaged");
  }
  return model;
}

/// Every slot of every table.
std::vector<std::uint32_t> slots_of(const std::vector<FrequencyTable>& tables) {
  std::vector<std::uint32_t> slots;
  slots.reserve(tables.size() * kernels::kSlots);
  for (const FrequencyTable& table : tables) append_slots(table, slots);
  return slots;
}

/// Where each lane begins in `streams`, and where the last one ends.
std::vector<std::int64_t> lane_begins(const CodedView& coded, std::int64_t chunks) {
  std::vector<std::int64_t> begins{0};
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::size_t entry = kHeaderBytes + static_cast<std::size_t>(chunk) * kChunkBytes;
    for (std::size_t lane = 0; lane < kernels::kLevelLanes; ++lane) {
      const auto words = std::int64_t{number_at(coded.tables, entry + 4 + 2 * lane, 2)};
      begins.push_back(begins.back() + kStateBytes + 2 * words);
    }
  }
  if (begins.back() != static_cast<std::int64_t>(coded.streams.size())) {
    refuse(coded.streams_name, "has {} bytes; its tables demand {}", coded.streams.size(),
           begins.back());
  }
  return begins;
}

}  // namespace

CodedBounds coded_bounds(std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kMostTableBytes = (24 + kSymbols * (2 * 5 + kernels::kFrequencyBits)) / 8;
  constexpr std::int64_t kMostLaneBytes = kStateBytes + 2 * std::int64_t{0xffff};
  const std::int64_t chunks = chunks_of(rows, columns).chunks();
  CodedBounds bounds;
  bounds.least_tables =
      static_cast<std::int64_t>(kHeaderBytes) + chunks * static_cast<std::int64_t>(kChunkBytes) + 3;
  bounds.most_tables = bounds.least_tables + 2 * (rows + columns + 2) +
                       (kernels::kMostLevelTables + 2) * kMostTableBytes;
  bounds.least_streams = chunks * kernels::kLevelLanes * kStateBytes;
  bounds.most_streams = chunks * kernels::kLevelLanes * kMostLaneBytes;
  return bounds;
}

int table_count(const CodedView& coded) {
  if (coded.tables.empty()) refuse(coded.tables_name, "is empty");
  return header_number(coded, 0, "tables", 1, kernels::kMostLevelTables);
}

struct LevelReader::State {
  State(const CodedView& view, std::int64_t rows, std::int64_t columns)
      : coded(view),
        arranged(read_model(view, chunks_of(rows, columns)), rows, columns),
        slots(slots_of(arranged.model().tables)),
        begins(lane_begins(view, arranged.streams().chunks())),
        streams(arranged.streams()) {
    streams.slot = slots.data();
    streams.bytes = reinterpret_cast<const std::uint8_t*>(coded.streams.data());
    streams.lane_begin = begins.data();
  }

  [[nodiscard]] std::uint32_t stated_crc(std::int64_t chunk) const {
    return number_at(coded.tables, kHeaderBytes + static_cast<std::size_t>(chunk) * kChunkBytes, 4);
  }

  [[nodiscard]] std::uint32_t found_crc(std::int64_t chunk) const {
    const auto first = static_cast<std::size_t>(chunk) * kernels::kLevelLanes;
    const auto begin = static_cast<std::size_t>(begins[first]);
    const auto end = static_cast<std::size_t>(begins[first + kernels::kLevelLanes]);
    return static_cast<std::uint32_t>(::crc32_z(0, streams.bytes + begin, end - begin));
  }

  /// Decodes the chunks of a band's rows; false where one of them is damaged.
  [[nodiscard]] bool read_band(std::int64_t band, std::int16_t* levels) const {
    const std::int64_t parts = streams.chunks_of_row();
    for (std::int64_t chunk = band * parts; chunk < (band + 1) * parts; ++chunk) {
      if (found_crc(chunk) != stated_crc(chunk)) return false;
      if (!kernels::decode_level_chunk(streams, chunk, levels, streams.columns)) return false;
    }
    return true;
  }

  /// Says what is wrong with the first damaged chunk of a band.
  [[noreturn]] void refuse_band(std::int64_t band) const {
    const std::int64_t first = band * streams.chunks_of_row();
    for (std::int64_t chunk = first; chunk < first + streams.chunks_of_row(); ++chunk) {
      if (found_crc(chunk) != stated_crc(chunk)) refuse_sum(chunk);
    }
    refuse_lane(first);
  }

  [[noreturn]] void refuse_sum(std::int64_t chunk) const {
    refuse(coded.streams_name,
           "has checksum {:08x} in chunk {}, but its tables say {:08x}: the part is damaged or "
           "belongs to another matrix; get the file again",
           found_crc(chunk), chunk, stated_crc(chunk));
  }

  [[noreturn]] void refuse_lane(std::int64_t first_chunk) const {
    refuse(coded.streams_name,
           "has a lane that does not end with its last word, among the chunks from {} on: the file "
           "is damaged",
           first_chunk);
  }

  CodedView coded;
  ArrangedModel arranged;
  std::vector<std::uint32_t> slots;
  std::vector<std::int64_t> begins;
  kernels::LevelStreams streams;
};

LevelReader::LevelReader(const CodedView& coded, std::int64_t rows, std::int64_t columns) {
  const CodedBounds bounds = coded_bounds(rows, columns);
  if (static_cast<std::int64_t>(coded.tables.size()) < bounds.least_tables) {
    refuse(coded.tables_name, "has {} bytes; at least {} were expected", coded.tables.size(),
           bounds.least_tables);
  }
  state_ = std::make_unique<State>(coded, rows, columns);
}

LevelReader::~LevelReader() = default;

void LevelReader::for_bands(const ParallelFor& parallel_for, const UseBand& use) const {
  const kernels::LevelStreams& streams = state_->streams;
  const std::int64_t bands = streams.chunks() / streams.chunks_of_row();
  std::vector<std::uint8_t> damaged(static_cast<std::size_t>(bands));  // threads throw nothing
  parallel_for(bands, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int16_t> levels(
        static_cast<std::size_t>(streams.chunk_rows * streams.columns));
    for (std::int64_t band = begin; band < end; ++band) {
      const std::int64_t row = band * streams.chunk_rows;
      if (state_->read_band(band, levels.data())) {
        use({row, std::min(streams.chunk_rows, streams.rows - row), levels.data()});
      } else {
        damaged[static_cast<std::size_t>(band)] = 1;
      }
    }
  });
  const auto first = std::find(damaged.begin(), damaged.end(), 1);
  if (first != damaged.end()) state_->refuse_band(first - damaged.begin());
}

std::vector<std::int16_t> LevelReader::read(const ParallelFor& parallel_for) const {
  const std::int64_t columns = state_->streams.columns;
  std::vector<std::int16_t> levels(static_cast<std::size_t>(state_->streams.rows * columns));
  for_bands(parallel_for, [&](const LevelBand& band) {
    std::copy_n(band.levels, band.rows * columns, levels.data() + band.row * columns);
  });
  return levels;
}

void LevelReader::check_sums(const ParallelFor& parallel_for) const {
  const std::int64_t chunks = state_->streams.chunks();
  std::vector<std::uint8_t> damaged(static_cast<std::size_t>(chunks));  // threads throw nothing
  parallel_for(chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const bool sound = state_->found_crc(chunk) == state_->stated_crc(chunk);
      damaged[static_cast<std::size_t>(chunk)] = sound ? 0 : 1;
    }
  });
  const auto first = std::find(damaged.begin(), damaged.end(), 1);
  if (first != damaged.end()) state_->refuse_sum(first - damaged.begin());
}

void LevelReader::require_ended(std::span<const std::uint8_t> ended) const {
  const auto first = std::find(ended.begin(), ended.end(), 0);
  if (first != ended.end()) state_->refuse_lane(first - ended.begin());
}

const kernels::LevelStreams& LevelReader::streams() const { return state_->streams; }

}  // namespace sgpt_mi::entropy
