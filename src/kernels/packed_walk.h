#pragma once

#include <cstdint>

#include "arithmetic.h"
#include "sgpt_mi/kernels/dequantize_packed.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/host_device.h"

// One weight of a packed matrix: what the twins of dequantize_packed share.
namespace sgpt_mi::kernels {

/// The number of the first code of a row.
SGPT_MI_HOST_DEVICE inline std::int64_t first_code(const CodeStream& stream, std::int64_t row) {
  return stream.first != nullptr ? stream.first[row] : row * stream.columns;
}

/// The place in the matrix of a stream's column.
SGPT_MI_HOST_DEVICE inline std::int64_t natural_column(const CodeStream& stream, std::int64_t i) {
  return stream.column != nullptr ? stream.column[i] : i;
}

/// Whether a weight, numbered over the whole matrix, is kept.
SGPT_MI_HOST_DEVICE inline bool is_kept(const KeptStream& kept, std::int64_t weight) {
  if (kept.bits == nullptr) return true;
  const std::uint32_t number = code_at(kept.bits, weight / kept.size, kept.width);
  return (kept.pattern[number] >> static_cast<int>(weight % kept.size) & 1U) != 0;
}

/// The value of code `index` of a stream, which is that of (row, column).
SGPT_MI_HOST_DEVICE inline float packed_value(const PackedWeights& packed, const CodeStream& stream,
                                              std::int64_t row, std::int64_t column,
                                              std::int64_t index) {
  const std::int64_t group = packed.group_of_column != nullptr ? packed.group_of_column[column] : 0;
  const auto code = static_cast<float>(code_at(stream.bits, index, stream.width));
  return value_of(code, packed.scale.row(row)[group], packed.zero.row(row)[group]);
}

/// Copies value `index` of a stream of values.
SGPT_MI_HOST_DEVICE inline void copy_value(const PackedWeights& packed, const CodeStream& stream,
                                           std::int64_t row, std::int64_t column,
                                           std::int64_t index) {
  const std::int64_t at = row * packed.stride + column;
  if (packed.type == FloatType::kFloat32) {
    static_cast<std::uint32_t*>(packed.values)[at] =
        reinterpret_cast<const std::uint32_t*>(stream.bits)[index];
  } else {
    static_cast<std::uint16_t*>(packed.values)[at] =
        reinterpret_cast<const std::uint16_t*>(stream.bits)[index];
  }
}

/// Writes a value, rounded to the matrix's type.
SGPT_MI_HOST_DEVICE inline void store_value(const PackedWeights& packed, std::int64_t row,
                                            std::int64_t column, float value) {
  const std::int64_t at = row * packed.stride + column;
  if (packed.type == FloatType::kFloat32) {
    static_cast<float*>(packed.values)[at] = value;
  } else {
    static_cast<std::uint16_t*>(packed.values)[at] =
        packed.type == FloatType::kFloat16 ? float_to_half(value) : float_to_bfloat16(value);
  }
}

/// Writes the weight of (row, column): code or value `index` of its stream where it is kept.
SGPT_MI_HOST_DEVICE inline void store_weight(const PackedWeights& packed, const CodeStream& stream,
                                             std::int64_t row, std::int64_t column, bool kept,
                                             std::int64_t index) {
  if (!kept) {
    store_value(packed, row, column, 0.0F);
  } else if (stream.width == width_of(packed.type)) {
    copy_value(packed, stream, row, column, index);
  } else {
    store_value(packed, row, column, packed_value(packed, stream, row, column, index));
  }
}

}  // namespace sgpt_mi::kernels
