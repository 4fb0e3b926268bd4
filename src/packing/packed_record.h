#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

inline constexpr std::size_t kRecordBytes = 44;
inline constexpr int kGroupWidthBits = 3;  ///< of each number in NAME.bits

// Bounds of the record's fields.
inline constexpr std::int64_t kMaxSide = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMaxWeights = std::int64_t{1} << 48;  ///< bit positions fit 64 bits
/// Between these, every binary16 value times 2^e is exactly a float.
inline constexpr int kMinScaleExponent = -125;
inline constexpr int kMaxScaleExponent = 112;

/// NAME.packed as numbers; see packed_matrix.h for the bytes and the ranges.
struct PackedRecord {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t grid_rows = 0;
  std::int64_t groups = 0;
  std::int64_t run_length = 0;
  std::int64_t stored = 0;
  int scale_exponent = 0;
  DType dtype = DType::kF32;
  PackedLayout layout = PackedLayout::kDense;
  int prune_n = 0;
  int prune_m = 0;
  int width = 0;
  bool column_scaled = false;  ///< of layout 3
  int column_exponent = 0;
  std::uint32_t checksum = 0;

  [[nodiscard]] bool quantized() const { return grid_rows != 0; }
  [[nodiscard]] bool coded() const { return layout == PackedLayout::kCoded; }
  [[nodiscard]] bool masked() const {
    return layout == PackedLayout::kBitmask || layout == PackedLayout::kRanks;
  }
  [[nodiscard]] std::int64_t weights() const { return rows * columns; }
};

/// Throws Error(kInput) "io: SOURCE: packed matrix 'NAME': ...".
template <typename... Args>
[[noreturn]] void refuse_packed(const PackedParts& parts, fmt::format_string<Args...> format,
                                Args&&... args) {
  fail(ErrorKind::kInput, "io: {}: packed matrix '{}': {}", parts.source, parts.name,
       fmt::format(format, std::forward<Args>(args)...));
}

/// The entry of `size` that a part counts for.
[[nodiscard]] std::int64_t& entry_of(PackedSize& size, PackedPartKind kind);

/// The bytes of NAME.packed, checksum included.
[[nodiscard]] std::array<std::byte, kRecordBytes> record_bytes(const PackedRecord& record);

/// Reads the record, and holds the presence, types and lengths of all parts against it.
/// Lengths that depend on widths stored in NAME.bits are bounded only.
/// Throws Error(kInput).
[[nodiscard]] PackedRecord read_record(const PackedParts& parts);

/// read_record() of parts whose checksum is the record's. Throws Error(kInput).
[[nodiscard]] PackedRecord checked_record(const PackedParts& parts,
                                          const ParallelFor& parallel_for);

}  // namespace sgpt_mi::packing
