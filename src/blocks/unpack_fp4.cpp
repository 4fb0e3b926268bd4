#include <array>
#include <bit>
#include <cmath>

#include "block_bytes.h"
#include "block_layouts.h"

namespace sgpt_mi::blocks {
namespace {

// Block layouts and formulas: ggml, src/ggml-common.h and src/ggml-quants.c (dequantize_row_tq*,
// _mxfp4, _nvfp4).

/// Twice the values of E2M1 (OCP Microscaling Formats 1.0, section 5.3.3), so that they are whole.
constexpr std::array<float, 16> kTwiceE2m1{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// Half of 2^(exponent - 127).
float half_power(unsigned exponent) {
  // Below 2 the result is subnormal in float32.
  return std::bit_cast<float>(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23);
}

/// Half of an unsigned E4M3 number; its NaN counts as 0.
float half_e4m3(unsigned bits) {
  if (bits == 0 || bits == 0x7f) return 0.0F;
  const int exponent = static_cast<int>(bits >> 3 & 0xfU);
  const auto mantissa = static_cast<float>(bits & 7U);
  return exponent == 0 ? std::ldexp(mantissa, -10)
                       : std::ldexp(1.0F + mantissa / 8.0F, exponent - 8);
}

/// The digit of 3 that a byte holds in front of `power` in base 3, less 1. The byte is the number
/// of 5 digits times 256 / 243, rounded up.
float trit(unsigned byte, int power) {
  constexpr std::array<unsigned, 5> kPowers{1, 3, 9, 27, 81};
  const unsigned shifted = byte * kPowers[static_cast<std::size_t>(power)] & 0xffU;
  return static_cast<float>(static_cast<int>(shifted * 3 >> 8) - 1);
}

}  // namespace

/// 32 bytes of 5 elements 32 apart, 16 of 5 elements 16 apart, 4 of 4 elements 4 apart, a half.
void unpack_tq1_0(const std::byte* block, float* out) {
  struct Part {
    int bytes;
    int digits;
  };
  const float scale = half_at(block + 52);
  const std::byte* from = block;
  for (const auto& [bytes, digits] : {Part{32, 5}, Part{16, 5}, Part{4, 4}}) {
    for (int digit = 0; digit < digits; ++digit) {
      for (int i = 0; i < bytes; ++i) *out++ = scale * trit(byte_at(from, i), digit);
    }
    from += bytes;
  }
}

/// 64 bytes of bit pairs, a half.
void unpack_tq2_0(const std::byte* block, float* out) {
  const float scale = half_at(block + 64);
  for (int i = 0; i < 256; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int>(bit_pair(block, i)) - 1);
  }
}

/// An exponent, 16 bytes of nibbles.
void unpack_mxfp4(const std::byte* block, float* out) {
  const float scale = half_power(byte_at(block, 0));
  for (int i = 0; i < 32; ++i) out[i] = scale * kTwiceE2m1[nibble(block + 1, i)];
}

/// 4 scales, and for each 8 bytes of nibbles: the low ones, then the high ones.
void unpack_nvfp4(const std::byte* block, float* out) {
  for (int i = 0; i < 64; ++i) {
    const unsigned both = byte_at(block + 4, i / 16 * 8 + i % 8);
    out[i] = half_e4m3(byte_at(block, i / 16)) * kTwiceE2m1[i % 16 < 8 ? both & 0xfU : both >> 4];
  }
}

}  // namespace sgpt_mi::blocks
