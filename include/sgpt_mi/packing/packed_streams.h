#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// The codes of all columns of one width, or the values of all columns.
struct PackedCodeStream {
  int width = 0;  ///< bits of a code; of a value those of the matrix's type
  std::int64_t columns = 0;
  std::vector<std::int32_t> column;  ///< natural columns, ascending; empty: 0, 1, 2 ...
  std::vector<std::int64_t> first;   ///< (rows) codes before each row
  std::span<const std::byte> bits;   ///< of the file
};

/// A packed matrix of codes or values as streams that can be read from any row on, for
/// kernels::dequantize_packed.
struct PackedStreams {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kF32;            ///< of the dense matrix
  std::vector<PackedCodeStream> codes;  ///< every column in one of them
  std::span<const std::byte> mask;      ///< of the file; empty: all weights are stored
  int mask_width = 1;                   ///< bits of each number of the mask ...
  int mask_size = 1;                    ///< ... which stands for so many neighbouring weights
  std::vector<std::uint8_t> pattern;    ///< (2^mask_width) kept weights of each number
  std::int64_t grid_rows = 0;           ///< rows, or 1: all rows share their grids; of values 0
  std::int64_t groups = 0;
  std::vector<float> scale;                   ///< (grid_rows, groups)
  std::vector<float> zero;                    ///< (grid_rows, groups)
  std::vector<std::int32_t> group_of_column;  ///< (columns); of values empty
};

/// A packed matrix of entropy-coded levels: weight (r, j) of group g is (scale(r, g) *
/// column_scale(j)) * level, for kernels::decode_levels by way of entropy::LevelReader.
struct PackedLevels {
  std::string name;  ///< of the matrix and its file, for messages
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kF32;  ///< of the dense matrix
  std::int64_t stored = 0;    ///< levels that are not 0
  entropy::CodedView coded;
  std::int64_t grid_rows = 0;  ///< rows, or 1: all rows share their scales
  std::int64_t groups = 0;
  std::vector<float> scale;                   ///< (grid_rows, groups)
  std::vector<float> column_scale;            ///< (columns), or empty: all 1
  std::vector<std::int32_t> group_of_column;  ///< (columns)

  /// Throws Error(kInput) unless `kept` levels that are not 0 are what the record states.
  void require_kept(std::int64_t kept) const;
};

/// What whoever has a device uploads there instead of the dense matrix.
using PackedContents = std::variant<PackedStreams, PackedLevels>;

/// Checks a packed matrix as unpack_matrix does, but for the chunks of levels, which their reader
/// checks, and says where its streams lie. The parts' bytes must outlive the result.
///
/// Cost: one pass over the bytes for the checksum, one over the mask.
///
/// \throws Error(kInput) as unpack_matrix.
[[nodiscard]] PackedContents read_packed_contents(const PackedParts& parts,
                                                  const ParallelFor& parallel_for = serial_for());

}  // namespace sgpt_mi::packing
