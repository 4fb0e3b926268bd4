#pragma once

#include <cstdint>
#include <cstring>

#include "sgpt_mi/kernels/host_device.h"

namespace sgpt_mi::kernels {

// The 16-bit floating types as bit patterns. Rounding is to nearest, ties to even, subnormals and
// overflow to infinity included; a NaN becomes the positive quiet one. The same bits as LibTorch's
// conversions of numbers.

[[nodiscard]] SGPT_MI_HOST_DEVICE inline std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

[[nodiscard]] SGPT_MI_HOST_DEVICE inline float float_of(std::uint32_t bits) {
  float value = 0.0F;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// IEEE 754 binary16 to float, exactly.
[[nodiscard]] SGPT_MI_HOST_DEVICE inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1fU;
  const std::uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    return float_of(sign | bits_of(static_cast<float>(mantissa) * 0x1p-24F));
  }
  const std::uint32_t wide = exponent == 31 ? 255U : exponent + 112U;  // the biases differ by 112
  return float_of(sign | wide << 23 | mantissa << 13);
}

/// float to IEEE 754 binary16, rounded. Free of branches, so that loops over it vectorise.
[[nodiscard]] SGPT_MI_HOST_DEVICE inline std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  // Normal numbers: half of the last kept place is added (less one unless it is odd), the
  // exponent's bias is changed, and what passes the largest number is infinity, 0x7c00.
  const std::uint32_t rounded = (magnitude + 0xfffU + (magnitude >> 13 & 1U) - (112U << 23)) >> 13;
  const std::uint32_t normal = rounded < 0x7c00U ? rounded : 0x7c00U;
  // Below 2^-14: the float sum with 0.5, whose last place is 2^-24, does the rounding.
  const std::uint32_t small = bits_of(float_of(magnitude) + 0.5F) - bits_of(0.5F);
  const std::uint32_t finite = magnitude < (113U << 23) ? small : normal;
  const std::uint32_t half = magnitude > 0x7f800000U ? 0x7e00U : (bits >> 16 & 0x8000U) | finite;
  return static_cast<std::uint16_t>(half);
}

/// bfloat16 to float, exactly.
[[nodiscard]] SGPT_MI_HOST_DEVICE inline float bfloat16_to_float(std::uint16_t brain) {
  return float_of(static_cast<std::uint32_t>(brain) << 16);
}

/// float to bfloat16, rounded.
[[nodiscard]] SGPT_MI_HOST_DEVICE inline std::uint16_t float_to_bfloat16(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  return static_cast<std::uint16_t>(is_nan ? 0x7fc0U : rounded);
}

}  // namespace sgpt_mi::kernels
