#pragma once

#include <cstdint>

namespace sgpt_mi::cpu_kernels {

/// One row of codes and the grids of its columns.
struct CodeRow {
  const std::uint8_t* codes = nullptr;  ///< (columns)
  const std::uint8_t* kept = nullptr;   ///< (columns) 0 or 1; nullptr: every weight is kept
  const float* scale = nullptr;         ///< (columns)
  const float* zero = nullptr;          ///< (columns), integral
  std::int64_t columns = 0;
};

/// The values scale * (code - zero) of a row in float32, +0 where it is not kept.
/// \param values  out: (columns)
void dequantize_row(const CodeRow& row, float* values);

/// The values step * level of a row in float32, as many as columns.
/// \param values  out: (columns)
void dequantize_levels(const std::int16_t* levels, const float* step, std::int64_t columns,
                       float* values);

/// Rounds `count` floats to binary16 or bfloat16 bit patterns: float_to_half and float_to_bfloat16
/// of each.
void round_to_half(const float* values, std::int64_t count, std::uint16_t* out);
void round_to_bfloat16(const float* values, std::int64_t count, std::uint16_t* out);

}  // namespace sgpt_mi::cpu_kernels
