#pragma once

#include <array>
#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/host_device.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// The codes of some columns of a matrix as pack_bits writes them: row by row, in a row the kept
/// weights of these columns from left to right. Of a matrix without codes the values themselves, in
/// its type and aligned to it.
struct CodeStream {
  const std::uint8_t* bits = nullptr;
  int width = 0;                         ///< bits of a code, 1 to 8; of a value, those of its type
  const std::int32_t* column = nullptr;  ///< (columns) places in the matrix; nullptr: 0, 1, 2 ...
  std::int64_t columns = 0;
  const std::int64_t* first = nullptr;  ///< (rows) codes before each row; nullptr: row * columns
};

/// Which weights are kept, as a bit stream with one number of `width` bits for every `size`
/// neighbours of the matrix, row by row: bit i of pattern[number] says whether neighbour i is. A
/// bitmask is width 1, size 1 and pattern {0, 1}; the ranks of N:M masks have size M.
struct KeptStream {
  const std::uint8_t* bits = nullptr;     ///< nullptr: all weights are kept
  int width = 1;                          ///< 1 to 8
  int size = 1;                           ///< 1 to 8
  const std::uint8_t* pattern = nullptr;  ///< (2^width)
};

/// A type of floating-point number.
enum class FloatType : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// The bits of a number of the type.
SGPT_MI_HOST_DEVICE constexpr int width_of(FloatType type) {
  return type == FloatType::kFloat32 ? 32 : 16;
}

inline constexpr std::size_t kMostStreams = 8;

/// One packed matrix and the place of its values. Every column is in exactly one stream.
struct PackedWeights {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::array<CodeStream, kMostStreams> streams;
  std::size_t stream_count = 0;
  KeptStream kept;
  MatrixView<const float> scale;                  ///< (rows, groups); stride 0: shared rows. Where
                                                  ///< values are stored, of no use
  MatrixView<const float> zero;                   ///< (rows, groups), the same
  const std::int32_t* group_of_column = nullptr;  ///< (columns); nullptr: one group
  FloatType type = FloatType::kFloat32;
  void* values = nullptr;   ///< (rows, columns) of `type`, out
  std::int64_t stride = 0;  ///< elements between rows of `values`
};

/// The values scale * (code - zero) of a matrix that lies packed in memory, or those stored, +0
/// where a weight is not kept: codes are found, read, scaled, rounded and put in place in one pass,
/// without a matrix of codes or of flags in between. The product is rounded to float32 and then to
/// the type (nearest, ties to even), so the twins give the bits that dequantize_row and
/// round_to_half give.
///
/// Cost: the packed bytes read, the values written. The CPU twin is a plain loop.
///
/// \throws Error(kInternal) missing memory, widths and sizes out of range.
void dequantize_packed(const PackedWeights& packed, const Backend& backend);

}  // namespace sgpt_mi::kernels
