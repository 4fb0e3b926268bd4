#include "sgpt_mi/cpu_kernels/dequantize.h"

#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/simd.h"

namespace sgpt_mi::cpu_kernels {
namespace {

SGPT_MI_SIMD_CLONES void dequantize_all(const std::uint8_t* __restrict codes,
                                        const float* __restrict scale, const float* __restrict zero,
                                        std::int64_t columns, float* __restrict values) {
  for (std::int64_t j = 0; j < columns; ++j) {
    values[j] = scale[j] * (static_cast<float>(codes[j]) - zero[j]);
  }
}

SGPT_MI_SIMD_CLONES void dequantize_kept(const CodeRow& row, float* __restrict values) {
  const std::uint8_t* __restrict codes = row.codes;
  const std::uint8_t* __restrict kept = row.kept;
  const float* __restrict scale = row.scale;
  const float* __restrict zero = row.zero;
  for (std::int64_t j = 0; j < row.columns; ++j) {
    const float value = scale[j] * (static_cast<float>(codes[j]) - zero[j]);
    values[j] = kept[j] != 0 ? value : 0.0F;
  }
}

SGPT_MI_SIMD_CLONES void scale_levels(const std::int16_t* __restrict levels,
                                      const float* __restrict step, std::int64_t columns,
                                      float* __restrict values) {
  for (std::int64_t j = 0; j < columns; ++j) values[j] = step[j] * static_cast<float>(levels[j]);
}

SGPT_MI_SIMD_CLONES void round_all_to_half(const float* __restrict values, std::int64_t count,
                                           std::uint16_t* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = kernels::float_to_half(values[i]);
}

SGPT_MI_SIMD_CLONES void round_all_to_bfloat16(const float* __restrict values, std::int64_t count,
                                               std::uint16_t* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = kernels::float_to_bfloat16(values[i]);
}

}  // namespace

void dequantize_row(const CodeRow& row, float* values) {
  if (row.kept != nullptr) return dequantize_kept(row, values);
  dequantize_all(row.codes, row.scale, row.zero, row.columns, values);
}

void dequantize_levels(const std::int16_t* levels, const float* step, std::int64_t columns,
                       float* values) {
  scale_levels(levels, step, columns, values);
}

void round_to_half(const float* values, std::int64_t count, std::uint16_t* out) {
  round_all_to_half(values, count, out);
}

void round_to_bfloat16(const float* values, std::int64_t count, std::uint16_t* out) {
  round_all_to_bfloat16(values, count, out);
}

}  // namespace sgpt_mi::cpu_kernels
