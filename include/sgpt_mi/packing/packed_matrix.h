#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/packing/packed_size.h"

namespace sgpt_mi::entropy {
struct CodedLevels;
}

namespace sgpt_mi::packing {

// The packed form of one compressed matrix, version 2.
//
// Matrix NAME (the checkpoint's tensor NAME.weight) of `rows` x `columns` weights is stored as the
// tensors below in a safetensors file. A part without bytes is left out. All numbers are
// little-endian. "Bit stream" means: no gaps, bit k of the stream is bit k % 8 of byte k / 8
// (counted from the least significant), unused bits of the last byte are 0.
//
// NAME.packed, U8 [44], the record:
//    0  u32  format version, 2
//    4  u32  rows, 1 .. 2^31 - 1        rows * columns is at most 2^48
//    8  u32  columns, 1 .. 2^31 - 1
//   12  u32  grid rows: `rows`, or 1 when all rows share their grids; 0: not quantized
//   16  u32  groups G of columns, 1 .. columns; 0: not quantized
//   20  u32  columns per group: column j is in group j / this (the last group may be shorter);
//            0: NAME.group has the labels, or not quantized
//   24  u64  weights stored: all of them, those that the mask keeps, or in layout 3 those whose
//            level is not 0
//   32  i16  scale exponent e, -125 .. 112; 0 when not quantized
//   34  u8   type of the dense matrix: 0 F32, 1 F16, 2 BF16
//   35  u8   layout: 0 dense, all weights are stored, a pruned one as its grid's zero point (or as
//            the value 0); 1 bitmask, only kept weights are stored; 2 as 1, with N:M ranks;
//            3 coded, all weights are stored as entropy-coded levels, a pruned one as the level 0
//   36  u8   N:M pattern of layout 2, 1 <= n < m <= 8: n zeros ...
//   37  u8   ... in every m weights of a row, m divides columns; both 0 in other layouts
//   38  u8   bits of every code, 2 .. 8; 0: they differ (NAME.bits), or not quantized; in layout 3
//            1 where there is NAME.column_scale, 0 where every column's scale is 1
//   39  i8   exponent of the columns' scales in layout 3, -125 .. 112; 0 without them
//   40  u32  CRC-32 (as in zlib) of NAME, bytes 0 to 39 and the other parts in the order below; in
//            layout 3 without NAME.codes, whose chunks have checksums of their own in NAME.tables
//
// NAME.codes, U8 [bytes]: one bit stream per width that occurs, ascending, each starting at a whole
//   byte: the codes of the columns of that width, row by row, columns in natural order; in layouts
//   1 and 2 kept weights only. In layout 3 the chunks of the matrix of levels, one after the other,
//   and in NAME.tables, U8 [bytes], how to read them: both as in entropy/coded_levels.h.
// NAME.values, F32, F16 or BF16 [stored], when not quantized: the stored weights, row by row.
// NAME.mask, U8 [bytes]. Layout 1: a bit stream with one bit per weight, row by row: 1 is kept.
//   Layout 2: a bit stream with ceil(log2 C(m, n)) bits per m weights, row by row: the rank of
//   their kept set among all sets of m - n places, ordered as binary numbers whose bit i is place i
//   (the combinatorial number system). 2:4 takes 3 bits per 4 weights.
// NAME.scale, F16 [grid rows, G]: positive and finite; the scale is this times 2^e.
// NAME.column_scale, F16 [columns], layout 3: positive and finite; times 2^(byte 39).
// NAME.zero_point, U8 [bytes]: as NAME.codes, for a matrix of grid rows x G zero points, each as
//   wide as its group's codes.
// NAME.group, U8 [bytes]: a bit stream of `columns` labels of ceil(log2 G) bits, each below G.
// NAME.bits, U8 [bytes]: a bit stream of G numbers of 3 bits: the group's width, 2 .. 8, minus 1.
//
// The weight in row r and column j of group g is, where kept,
//
//     round(scale(r, g) * (code - zero_point(r, g)))
//
// with a product in float32 and one rounding to the type of the dense matrix (nearest, ties to
// even), r = 0 for shared grids; +0 where pruned. In layout 3 it is
//
//     round((scale(r, g) * column_scale(j)) * level)
//
// with two products in float32; the largest product of scales is finite. There are no zero points,
// mask and widths in layout 3.

inline constexpr std::uint32_t kPackedFormatVersion = 2;

/// A compressed matrix as plain arrays that somebody else owns; columns in natural order.
///
/// Either `codes` with a grid, or `levels` with a grid that has no zero points, or `values`
/// without. Where a weight is pruned, its code or value is not read. With `levels`, which are
/// entropy-coded, `pruned`, the pattern, `zero_point` and `bits_of_group` are left empty.
struct CodedMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kF32;             ///< of the dense matrix: F32, F16 or BF16
  std::span<const std::uint8_t> codes;   ///< (rows, columns); empty: not quantized
  std::span<const std::byte> values;     ///< (rows, columns) of dtype, when not quantized
  std::span<const std::uint8_t> pruned;  ///< (rows, columns) 0 or 1; empty: nothing is pruned
  int prune_n = 0;                       ///< exactly so many zeros ...
  int prune_m = 0;                       ///< ... in every prune_m columns; 0: unstructured
  std::int64_t grid_rows = 0;            ///< rows, or 1: all rows share their grids
  std::span<const std::uint16_t> scale;  ///< (grid_rows, G) binary16 patterns, positive, finite
  int scale_exponent = 0;                ///< a scale is its pattern's value * 2^this; -125 .. 112
  std::span<const std::uint8_t> zero_point;       ///< (grid_rows, G), below 2^bits of the group
  std::span<const std::int32_t> group_of_column;  ///< (columns), in [0, G)
  std::span<const int> bits_of_group;             ///< (G): 2 .. 8
  /// Every zero point is half of its range, 2^(bits - 1): a format may leave them out.
  bool symmetric = false;
  /// (rows, columns) signed whole numbers, 0 where pruned.
  std::span<const std::int16_t> levels = {};
  /// (columns) binary16 patterns, positive, finite; empty: all 1. Read with `levels`.
  std::span<const std::uint16_t> column_scale = {};
  int column_exponent = 0;  ///< a column's scale is its pattern's value * 2^this; -125 .. 112
  /// entropy::encode_levels() of `levels`, where somebody has it; null: pack_matrix() codes them.
  const entropy::CodedLevels* coded = nullptr;

  /// G.
  [[nodiscard]] std::int64_t groups() const {
    if (levels.empty()) return static_cast<std::int64_t>(bits_of_group.size());
    return grid_rows == 0 ? 0 : static_cast<std::int64_t>(scale.size()) / grid_rows;
  }
};

/// The tensors of a packed matrix, in the order of the checksum.
enum class PackedPartKind : std::uint8_t {
  kRecord,
  kCodes,
  kValues,
  kMask,
  kScale,
  kZeroPoint,
  kGroup,
  kBits,
  kTables,
  kColumnScale
};
inline constexpr std::size_t kPackedPartKinds = 10;

/// Parts of a matrix of levels with one scale a row and one a column: record, codes, tables and
/// both.
inline constexpr std::size_t kLevelParts = 5;

/// What follows NAME in the part's tensor name: ".packed", ".codes" ...
[[nodiscard]] std::string_view packed_suffix(PackedPartKind kind);

/// One part, ready to be written.
struct PackedPart {
  PackedPartKind kind = PackedPartKind::kRecord;
  containers::TensorInfo info;
  std::vector<std::byte> bytes;
};

/// The parts of one matrix as they were found; nothing is believed yet.
struct PackedParts {
  std::string source;  ///< file or folder, for messages
  std::string name;    ///< of the matrix
  std::array<std::optional<containers::TensorData>, kPackedPartKinds> parts;

  [[nodiscard]] const std::optional<containers::TensorData>& at(PackedPartKind kind) const {
    return parts[static_cast<std::size_t>(kind)];
  }
};

/// What a packed matrix says about itself.
struct PackedMatrixInfo {
  std::string name;
  containers::TensorInfo dense;  ///< NAME.weight as it decodes
  PackedLayout layout = PackedLayout::kDense;
  int prune_n = 0;  ///< pattern of the ranks; 0 in the other layouts
  int prune_m = 0;
  std::int64_t stored = 0;     ///< weights with a code or a value of their own
  std::int64_t grid_rows = 0;  ///< 0: not quantized
  std::int64_t groups = 0;
  int tables = 0;  ///< of the entropy coder; 0: codes of fixed widths, or values
  /// Pruned ones included; [0]: values. All 0 where the weights are entropy-coded.
  std::array<std::int64_t, kWidths> weights_of_width{};
  PackedSize size;  ///< of the parts as found

  /// Bits of all parts over the number of weights.
  [[nodiscard]] double stored_bits_per_weight() const;
};

/// The parts of a matrix: coded where it has levels, else in the layout that takes fewest bytes
/// (dense when equal). The result does not depend on the number of threads.
///
/// Cost: a few operations per weight, about ten where it has levels; memory: the parts and one byte
/// per weight.
/// \throws Error(kInternal) naming the matrix: arrays that contradict each other, a code, label,
///                          width or scale out of range, a mask that breaks its N:M pattern.
[[nodiscard]] std::vector<PackedPart> pack_matrix(const std::string& name,
                                                  const CodedMatrix& matrix,
                                                  const ParallelFor& parallel_for = serial_for());

/// The bytes of these parts. What a matrix with levels will take is known from its parts alone:
/// packed_size(pack_matrix(name, matrix)); predict_packed_size() is for the other ones.
[[nodiscard]] PackedSize packed_size(std::span<const PackedPart> parts);

/// The parts of matrix `name` that the source has.
[[nodiscard]] PackedParts find_packed_parts(const containers::TensorSource& tensors,
                                            const std::string& name, const std::string& source);

/// Checks the record, which parts there are, their types and lengths, labels and widths, and
/// describes the matrix. Reads nothing whose size grows with rows and columns together.
/// \throws Error(kInput) naming matrix, part and the broken rule.
[[nodiscard]] PackedMatrixInfo describe_packed(const PackedParts& parts);

/// The dense matrix: rows * columns elements of the record's type, row-major.
///
/// Everything is checked before it is believed: what describe_packed checks, the checksum, scales,
/// that mask and stored weights agree, that unused bits are 0. The result does not depend on the
/// number of threads.
///
/// Cost: a few nanoseconds per weight on one thread; memory: the result, and for pruned matrices
/// one bit per weight and 8 bytes per row and width.
/// \throws Error(kInput) naming matrix, part and the broken rule.
[[nodiscard]] std::vector<std::byte> unpack_matrix(const PackedParts& parts,
                                                   const ParallelFor& parallel_for = serial_for());

/// The checksum that belongs into the record of these parts.
[[nodiscard]] std::uint32_t packed_checksum(const PackedParts& parts,
                                            const ParallelFor& parallel_for = serial_for());

}  // namespace sgpt_mi::packing
