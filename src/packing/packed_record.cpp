#include "packed_record.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/io/byte_cursor.h"
#include "sgpt_mi/kernels/pack_bits.h"

namespace sgpt_mi::packing {
namespace {

constexpr std::size_t kChecksumOffset = 40;

constexpr std::array<std::string_view, kPackedPartKinds> kSuffixes{
    ".packed",     ".codes", ".values", ".mask",   ".scale",
    ".zero_point", ".group", ".bits",   ".tables", ".column_scale"};
constexpr std::array<DType, 3> kDenseTypes{DType::kF32, DType::kF16, DType::kBF16};

template <typename T>
void put_number(std::array<std::byte, kRecordBytes>& bytes, std::size_t offset,
                std::int64_t value) {
  const auto number = static_cast<T>(value);
  std::memcpy(bytes.data() + offset, &number, sizeof number);
}

/// A part that the record demands.
struct Expected {
  DType dtype = DType::kU8;
  std::vector<std::int64_t> least;  ///< its shape, or the lower bound of its one size
  std::int64_t most = 0;            ///< upper bound of the one size; 0: exactly `least`
};

using ExpectedParts = std::array<std::optional<Expected>, kPackedPartKinds>;

std::size_t index_of(PackedPartKind kind) { return static_cast<std::size_t>(kind); }

std::optional<Expected> exactly(std::int64_t bytes) {
  if (bytes == 0) return std::nullopt;
  return Expected{DType::kU8, {bytes}, 0};
}

/// A part of `count` codes: of the common width, or of widths not known yet.
std::optional<Expected> coded(const PackedRecord& record, std::int64_t count) {
  if (record.width != 0 || count == 0) return exactly(kernels::packed_bytes(count, record.width));
  // 2 to 8 bits each; up to 7 streams, of which each but the last may have an unfinished byte.
  return Expected{DType::kU8, {kernels::packed_bytes(count, 2)}, count + 7};
}

/// The parts that hold the weights of layout 3.
void expect_levels(const PackedRecord& record, ExpectedParts& expected) {
  const entropy::CodedBounds bounds = entropy::coded_bounds(record.rows, record.columns);
  expected[index_of(PackedPartKind::kCodes)] = {
      DType::kU8, {bounds.least_streams}, bounds.most_streams};
  expected[index_of(PackedPartKind::kTables)] = {
      DType::kU8, {bounds.least_tables}, bounds.most_tables};
  if (record.column_scaled) {
    expected[index_of(PackedPartKind::kColumnScale)] = {DType::kF16, {record.columns}, 0};
  }
}

ExpectedParts expected_parts(const PackedRecord& record) {
  ExpectedParts expected;
  const auto expect = [&](PackedPartKind kind, std::optional<Expected> part) {
    expected[index_of(kind)] = std::move(part);
  };
  expect(PackedPartKind::kRecord, exactly(kRecordBytes));
  if (record.layout == PackedLayout::kBitmask) {
    expect(PackedPartKind::kMask, exactly(kernels::packed_bytes(record.weights(), 1)));
  } else if (record.layout == PackedLayout::kRanks) {
    const int bits = rank_bits(record.prune_n, record.prune_m);
    const std::int64_t tuples = record.weights() / record.prune_m;
    expect(PackedPartKind::kMask, exactly(kernels::packed_bytes(tuples, bits)));
  }
  if (!record.quantized()) {
    if (record.stored > 0) {
      expect(PackedPartKind::kValues, Expected{record.dtype, {record.stored}, 0});
    }
    return expected;
  }
  const std::int64_t grids = record.grid_rows * record.groups;
  expect(PackedPartKind::kScale, Expected{DType::kF16, {record.grid_rows, record.groups}, 0});
  if (record.run_length == 0) {
    expect(PackedPartKind::kGroup, exactly((record.columns * label_bits(record.groups) + 7) / 8));
  }
  if (record.coded()) {
    expect_levels(record, expected);
    return expected;
  }
  expect(PackedPartKind::kCodes, coded(record, record.stored));
  expect(PackedPartKind::kZeroPoint, coded(record, grids));
  if (record.width == 0) {
    expect(PackedPartKind::kBits, exactly(kernels::packed_bytes(record.groups, kGroupWidthBits)));
  }
  return expected;
}

void check_parts(const PackedParts& parts, const PackedRecord& record) {
  const ExpectedParts expected = expected_parts(record);
  for (std::size_t kind = 0; kind < kPackedPartKinds; ++kind) {
    const std::optional<containers::TensorData>& found = parts.parts[kind];
    const std::optional<Expected>& wanted = expected[kind];
    const std::string_view suffix = kSuffixes[kind];
    if (!found && !wanted) continue;
    if (!found)
      refuse_packed(parts, "part {}{} is missing; its record demands it", parts.name, suffix);
    if (!wanted) {
      refuse_packed(parts, "part {}{} is there, but its record has no use for it", parts.name,
                    suffix);
    }
    if (found->info.dtype != wanted->dtype) {
      refuse_packed(parts, "part {}{} is {}; {} was expected", parts.name, suffix,
                    dtype_name(found->info.dtype), dtype_name(wanted->dtype));
    }
    const std::vector<std::int64_t>& shape = found->info.shape;
    const bool fits = wanted->most == 0 ? shape == wanted->least
                                        : shape.size() == 1 && shape[0] >= wanted->least[0] &&
                                              shape[0] <= wanted->most;
    if (!fits) {
      refuse_packed(parts, "part {}{} has shape [{}]; its record demands [{}]{}", parts.name,
                    suffix, fmt::join(shape, ", "), fmt::join(wanted->least, ", "),
                    wanted->most == 0 ? "" : fmt::format(" to [{}]", wanted->most));
    }
  }
}

/// Checks one number of the record against its range.
void check_range(const PackedParts& parts, const char* field, std::int64_t value, std::int64_t low,
                 std::int64_t high) {
  if (value < low || value > high) {
    refuse_packed(parts, "its record has {} {}; {} to {} was expected: the file is damaged", field,
                  value, low, high);
  }
}

void check_grid(const PackedParts& parts, const PackedRecord& record) {
  if (record.coded()) check_range(parts, "grid rows", record.grid_rows, 1, record.rows);
  if (!record.quantized()) {
    check_range(parts, "groups", record.groups, 0, 0);
    check_range(parts, "columns per group", record.run_length, 0, 0);
    check_range(parts, "scale exponent", record.scale_exponent, 0, 0);
    check_range(parts, "bits", record.width, 0, 0);
    check_range(parts, "byte 39", record.column_exponent, 0, 0);
    return;
  }
  if (record.coded() && record.column_scaled) {
    check_range(parts, "column exponent", record.column_exponent, kMinScaleExponent,
                kMaxScaleExponent);
  } else {
    check_range(parts, "byte 39", record.column_exponent, 0, 0);
  }
  if (record.grid_rows != 1) {
    check_range(parts, "grid rows", record.grid_rows, record.rows, record.rows);
  }
  check_range(parts, "groups", record.groups, 1, record.columns);
  check_range(parts, "columns per group", record.run_length, 0, record.columns);
  if (record.run_length == 0) {
    check_range(parts, "groups of labelled columns", record.groups, 2, record.columns);
  } else {
    const std::int64_t runs = (record.columns + record.run_length - 1) / record.run_length;
    check_range(parts, "groups", record.groups, runs, runs);
  }
  check_range(parts, "scale exponent", record.scale_exponent, kMinScaleExponent, kMaxScaleExponent);
  if (record.width != 0) check_range(parts, "bits", record.width, 2, 8);
}

void check_layout(const PackedParts& parts, const PackedRecord& record) {
  const std::int64_t weights = record.weights();
  if (record.layout != PackedLayout::kRanks) {
    check_range(parts, "n", record.prune_n, 0, 0);
    check_range(parts, "m", record.prune_m, 0, 0);
    const bool counted = record.masked() || record.layout == PackedLayout::kCoded;
    check_range(parts, "stored weights", record.stored, counted ? 0 : weights, weights);
    return;
  }
  check_range(parts, "m", record.prune_m, 2, kMaxRankedColumns);
  check_range(parts, "n", record.prune_n, 1, record.prune_m - 1);
  check_range(parts, "columns beyond the last whole N:M tuple", record.columns % record.prune_m, 0,
              0);
  const std::int64_t kept = weights / record.prune_m * (record.prune_m - record.prune_n);
  check_range(parts, "stored weights", record.stored, kept, kept);
}

PackedRecord parse_record(const PackedParts& parts, std::span<const std::byte> bytes) {
  const auto u32 = [&](std::size_t at) { return io::number_at<std::uint32_t>(bytes.subspan(at)); };
  const auto u8 = [&](std::size_t at) { return std::to_integer<int>(bytes[at]); };
  if (u32(0) != kPackedFormatVersion) {
    refuse_packed(parts,
                  "its record has format version {}; this program reads version {}: use the "
                  "program that wrote it, or a newer one",
                  u32(0), kPackedFormatVersion);
  }
  PackedRecord record;
  record.rows = u32(4);
  record.columns = u32(8);
  check_range(parts, "rows", record.rows, 1, kMaxSide);
  check_range(parts, "columns", record.columns, 1, kMaxSide);
  check_range(parts, "weights", record.weights(), 1, kMaxWeights);
  record.grid_rows = u32(12);
  record.groups = u32(16);
  record.run_length = u32(20);
  const auto stored = io::number_at<std::uint64_t>(bytes.subspan(24));
  record.stored = static_cast<std::int64_t>(
      std::min<std::uint64_t>(stored, std::numeric_limits<std::int64_t>::max()));
  record.scale_exponent = io::number_at<std::int16_t>(bytes.subspan(32));
  check_range(parts, "type", u8(34), 0, static_cast<int>(kDenseTypes.size()) - 1);
  record.dtype = kDenseTypes[std::to_integer<std::size_t>(bytes[34])];
  check_range(parts, "layout", u8(35), 0, static_cast<int>(PackedLayout::kCoded));
  record.layout = static_cast<PackedLayout>(u8(35));
  record.prune_n = u8(36);
  record.prune_m = u8(37);
  if (record.coded()) {
    check_range(parts, "byte 38", u8(38), 0, 1);
    record.column_scaled = u8(38) == 1;
  } else {
    record.width = u8(38);
  }
  record.column_exponent = u8(39) < 128 ? u8(39) : u8(39) - 256;
  record.checksum = u32(kChecksumOffset);
  return record;
}

using Crc = uLong;

/// The CRC-32 so far continued by `bytes`: pieces side by side, joined in order.
Crc continue_crc(Crc crc, std::span<const std::byte> bytes, const ParallelFor& parallel_for) {
  constexpr std::size_t kChecksumPiece = std::size_t{1} << 20;
  std::vector<Crc> pieces((bytes.size() + kChecksumPiece - 1) / kChecksumPiece);
  const auto piece_of = [&](std::size_t i) {
    return bytes.subspan(i * kChecksumPiece,
                         std::min(kChecksumPiece, bytes.size() - i * kChecksumPiece));
  };
  parallel_for(static_cast<std::int64_t>(pieces.size()), 1, [&](auto begin, auto end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const auto piece = piece_of(i);
      pieces[i] = ::crc32_z(0, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
    }
  });
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    crc = ::crc32_combine(crc, pieces[i], static_cast<z_off_t>(piece_of(i).size()));
  }
  return crc;
}

}  // namespace

std::string_view packed_suffix(PackedPartKind kind) { return kSuffixes[index_of(kind)]; }

std::int64_t& entry_of(PackedSize& size, PackedPartKind kind) {
  switch (kind) {
    case PackedPartKind::kRecord:
      return size.record;
    case PackedPartKind::kCodes:
    case PackedPartKind::kValues:
      return size.codes;
    case PackedPartKind::kMask:
      return size.mask;
    case PackedPartKind::kTables:
      return size.tables;
    case PackedPartKind::kScale:
    case PackedPartKind::kColumnScale:
      return size.scale;
    case PackedPartKind::kZeroPoint:
      return size.zero_point;
    case PackedPartKind::kGroup:
    case PackedPartKind::kBits:
      return size.permutation;
  }
  fail(ErrorKind::kInternal, "io: unknown kind of part {}", static_cast<int>(kind));
}

std::array<std::byte, kRecordBytes> record_bytes(const PackedRecord& record) {
  std::array<std::byte, kRecordBytes> bytes{};
  put_number<std::uint32_t>(bytes, 0, kPackedFormatVersion);
  put_number<std::uint32_t>(bytes, 4, record.rows);
  put_number<std::uint32_t>(bytes, 8, record.columns);
  put_number<std::uint32_t>(bytes, 12, record.grid_rows);
  put_number<std::uint32_t>(bytes, 16, record.groups);
  put_number<std::uint32_t>(bytes, 20, record.run_length);
  put_number<std::uint64_t>(bytes, 24, record.stored);
  put_number<std::int16_t>(bytes, 32, record.scale_exponent);
  const auto type = std::find(kDenseTypes.begin(), kDenseTypes.end(), record.dtype);
  put_number<std::uint8_t>(bytes, 34, type - kDenseTypes.begin());
  put_number<std::uint8_t>(bytes, 35, static_cast<int>(record.layout));
  put_number<std::uint8_t>(bytes, 36, record.prune_n);
  put_number<std::uint8_t>(bytes, 37, record.prune_m);
  put_number<std::uint8_t>(bytes, 38, record.coded() ? record.column_scaled : record.width);
  put_number<std::int8_t>(bytes, 39, record.column_exponent);
  put_number<std::uint32_t>(bytes, kChecksumOffset, record.checksum);
  return bytes;
}

PackedRecord read_record(const PackedParts& parts) {
  const std::optional<containers::TensorData>& part = parts.at(PackedPartKind::kRecord);
  if (!part) {
    refuse_packed(parts, "part {}.packed is missing: the matrix cannot be read without",
                  parts.name);
  }
  if (part->info.dtype != DType::kU8 || part->bytes.size() != kRecordBytes) {
    refuse_packed(parts, "part {}.packed has {} bytes of {}; {} of U8 were expected", parts.name,
                  part->bytes.size(), dtype_name(part->info.dtype), kRecordBytes);
  }
  const PackedRecord record = parse_record(parts, part->bytes);
  check_layout(parts, record);
  check_grid(parts, record);
  check_parts(parts, record);
  return record;
}

std::uint32_t packed_checksum(const PackedParts& parts, const ParallelFor& parallel_for) {
  Crc crc =
      continue_crc(::crc32_z(0, nullptr, 0), std::as_bytes(std::span(parts.name)), parallel_for);
  for (std::size_t kind = 0; kind < kPackedPartKinds; ++kind) {
    const std::optional<containers::TensorData>& part = parts.parts[kind];
    // A coded matrix's chunks have checksums of their own, so that they can be read one by one.
    if (kind == index_of(PackedPartKind::kCodes) && parts.at(PackedPartKind::kTables)) continue;
    if (!part) continue;
    std::span<const std::byte> bytes = part->bytes;
    if (kind == index_of(PackedPartKind::kRecord)) {
      bytes = bytes.first(std::min(bytes.size(), kChecksumOffset));
    }
    crc = continue_crc(crc, bytes, parallel_for);
  }
  return static_cast<std::uint32_t>(crc);
}

PackedParts find_packed_parts(const containers::TensorSource& tensors, const std::string& name,
                              const std::string& source) {
  PackedParts parts{source, name, {}};
  for (std::size_t kind = 0; kind < kPackedPartKinds; ++kind) {
    const std::string part = name + std::string(kSuffixes[kind]);
    if (tensors.find(part) != nullptr) parts.parts[kind] = tensors.read(part);
  }
  return parts;
}

PackedRecord checked_record(const PackedParts& parts, const ParallelFor& parallel_for) {
  PackedRecord record = read_record(parts);
  const std::uint32_t checksum = packed_checksum(parts, parallel_for);
  if (checksum != record.checksum) {
    refuse_packed(
        parts,
        "its parts have checksum {:08x}, but the record says {:08x}: a part is damaged or "
        "belongs to another matrix; get the file again",
        checksum, record.checksum);
  }
  return record;
}

}  // namespace sgpt_mi::packing
