#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// The codes of all columns of one width.
struct PackedCodeStream {
  int width = 0;                     ///< bits of a code
  std::vector<std::int32_t> column;  ///< natural columns, ascending
  std::vector<std::int64_t> first;   ///< (rows) codes before each row
  std::span<const std::byte> bits;   ///< of the file
};

/// A packed, quantized matrix as streams that can be read from any row on, for
/// kernels::dequantize_packed: whoever has a device uploads these instead of the dense matrix.
struct PackedStreams {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kF32;            ///< of the dense matrix
  std::vector<PackedCodeStream> codes;  ///< every column in one of them
  std::span<const std::byte> mask;      ///< of the file; empty: all weights are stored
  int mask_width = 1;                   ///< bits of each number of the mask ...
  int mask_size = 1;                    ///< ... which stands for so many neighbouring weights
  std::vector<std::uint8_t> pattern;    ///< (2^mask_width) kept weights of each number
  std::int64_t grid_rows = 0;           ///< rows, or 1: all rows share their grids
  std::int64_t groups = 0;
  std::vector<float> scale;                   ///< (grid_rows, groups)
  std::vector<float> zero;                    ///< (grid_rows, groups)
  std::vector<std::int32_t> group_of_column;  ///< (columns)
};

/// Checks a packed matrix as unpack_matrix does and says where its streams lie. The parts' bytes
/// must outlive the result.
///
/// Cost: one pass over the bytes for the checksum, one over the mask.
///
/// \throws Error(kInput) as unpack_matrix; Error(kInternal) a matrix that is not quantized, or
///         entropy-coded: kernels::decode_levels takes what entropy::LevelReader::streams() says.
[[nodiscard]] PackedStreams read_packed_streams(const PackedParts& parts,
                                                const ParallelFor& parallel_for = serial_for());

}  // namespace sgpt_mi::packing
