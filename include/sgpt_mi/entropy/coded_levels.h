#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/kernels/decode_levels.h"

namespace sgpt_mi::entropy {

// A matrix of `rows` x `columns` levels, whole numbers of 16 bits, as two runs of bytes. All
// numbers are little-endian; "bit stream" means: no gaps, bit k of the stream is bit k % 8 of byte
// k / 8, unused bits of the last byte are 0.
//
// Labels. Every row and every column has a label, 0 .. 15, that stands for the mean size of its
//   levels. The table of a level is clamp(label of its row + label of its column - base, 0, K - 1).
//
// Places. The places of a row are its columns sorted by label, equal ones in natural order.
//
// Chunks. Let c be `columns` / 65536, rounded (halves up). Where c > 1, a chunk is
//   ceil(columns / c) places of one row (the row's last may be shorter), chunks of a row one after
//   the other. Else a chunk is ceil(rows / max(1, c')) whole rows (the last may have fewer), where
//   c' is rows * columns / 65536, rounded. Inside a chunk levels go row by row, places ascending;
//   level i is in lane i % 8.
//
// Symbols. A table has a frequency for the symbols -127 .. 127, which stand for these levels, and
//   for the escape, which stands for any other. Frequencies add up to 4096. The slots 0 .. 4095 are
//   the escape's, then those of -127, -126 ... in order, as many as their frequencies say.
//
// Lane. u32 state, then words of 16 bits; rANS as kernels/decode_levels.h describes it.
//
// `tables`:
//    0  u8   number of tables K, 1 .. 16
//    1  u8   base, 0 .. 30
//    2  u8   1 where rows have labels, 0 where all are 0
//    3  u8   the same for columns
//    4  20 bytes per chunk: u32 CRC-32 (as in zlib) of its lanes; 8 times u16, the words of a lane
//   ..  bit stream: labels of the rows, labels of the columns, tables
//
//   Labels are a table of theirs, then one lane: 32 bits of state, words of 16 bits, as many as
//   decoding takes.
//   A table is 8 bits b, 8 bits n and 8 bits m, b + n at most 255, m at most n: it has the escape
//   and n symbols from b - 127 on; then their frequencies, but for that of the escape (m is 0) or
//   the m-th symbol, which is what the others leave of 4096, at least 1. A frequency is the change
//   of its width, the bits that it takes (0 .. 12; 0 before the first one), as change >= 0 ?
//   2 * change + 1 : -2 * change in Elias' gamma code (as many zeros as bits follow the leading 1,
//   then the number from its leading 1 down); then the at most 4 bits below its own leading 1; the
//   bits below these are 0.
//
// `streams`: the chunks, of each its lanes, one after the other.

/// A coded matrix.
struct CodedLevels {
  std::vector<std::byte> tables;
  std::vector<std::byte> streams;
};

/// Codes a matrix of levels. Labels, their step (a quarter or half of an octave) and the number of
/// tables are those, among a few, whose bytes are fewest by an estimate from histograms. The result
/// does not depend on the number of threads.
///
/// Cost: about four passes over the levels, the last of them some nanoseconds per level; memory:
/// the result, 512 KiB, and a chunk on every thread.
///
/// \param levels  (rows, columns), not empty.
/// \throws Error(kInternal) sides that do not fit the levels.
[[nodiscard]] CodedLevels encode_levels(std::span<const std::int16_t> levels, std::int64_t rows,
                                        std::int64_t columns,
                                        const ParallelFor& parallel_for = serial_for());

/// A coded matrix as it was found, with what its two parts are called in errors.
struct CodedView {
  std::span<const std::byte> tables;
  std::span<const std::byte> streams;
  std::string tables_name;   ///< "io: FILE: packed matrix 'NAME': part NAME.tables"
  std::string streams_name;  ///< the same for the streams
};

/// Bounds of the bytes of a coded matrix.
struct CodedBounds {
  std::int64_t least_tables = 0;
  std::int64_t most_tables = 0;
  std::int64_t least_streams = 0;
  std::int64_t most_streams = 0;
};
[[nodiscard]] CodedBounds coded_bounds(std::int64_t rows, std::int64_t columns);

/// The number of tables that the first byte states.
/// \throws Error(kInput) none, or too many.
[[nodiscard]] int table_count(const CodedView& coded);

/// Whole rows of a decoded matrix.
struct LevelBand {
  std::int64_t row = 0;  ///< the first
  std::int64_t rows = 0;
  const std::int16_t* levels = nullptr;  ///< (rows, columns)
};

/// A coded matrix, ready to be decoded.
class LevelReader {
 public:
  /// Checks everything but the chunks. The bytes must outlive the reader.
  /// \throws Error(kInput) naming the part and the broken rule.
  LevelReader(const CodedView& coded, std::int64_t rows, std::int64_t columns);
  ~LevelReader();
  LevelReader(const LevelReader&) = delete;
  LevelReader& operator=(const LevelReader&) = delete;

  using UseBand = std::function<void(const LevelBand&)>;

  /// Decodes the matrix, some rows after the other, and calls use() for them, possibly at the same
  /// time on several threads. Cost: a few nanoseconds per level; memory: 8 bytes per level of a
  /// chunk on every thread.
  /// \throws Error(kInput) naming the part and the first damaged chunk, after use() was called for
  ///                       the others: a wrong checksum, a lane that does not end with its last
  ///                       word.
  void for_bands(const ParallelFor& parallel_for, const UseBand& use) const;

  /// The whole matrix: (rows, columns). Throws as for_bands().
  [[nodiscard]] std::vector<std::int16_t> read(
      const ParallelFor& parallel_for = serial_for()) const;

  /// What kernels::decode_levels needs, without a place for the result; for whoever uploads it to a
  /// device, after check_sums() and before require_ended(). Points into the reader and the coded
  /// bytes.
  [[nodiscard]] const kernels::LevelStreams& streams() const;

  /// Throws Error(kInput) naming the part and the first chunk whose checksum is wrong. Cost: one
  /// pass over the coded bytes.
  void check_sums(const ParallelFor& parallel_for) const;

  /// Throws Error(kInput) naming the part and the first chunk of which LevelStreams::ended (chunks)
  /// says that a lane did not end with its last word.
  void require_ended(std::span<const std::uint8_t> ended) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgpt_mi::entropy
