#pragma once

#include <cstddef>
#include <cstdint>

#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::blocks {

inline unsigned byte_at(const std::byte* bytes, int index) {
  return std::to_integer<unsigned>(bytes[index]);
}

/// 16 bits, little-endian.
inline unsigned word_at(const std::byte* bytes, int index) {
  return byte_at(bytes, 2 * index) | byte_at(bytes, 2 * index + 1) << 8;
}

/// The binary16 number at a place.
inline float half_at(const std::byte* bytes) {
  return kernels::half_to_float(static_cast<std::uint16_t>(word_at(bytes, 0)));
}

/// Codes of 4 bits: the low halves of 16 bytes, then the high halves.
inline unsigned nibble(const std::byte* codes, int element) {
  const unsigned both = byte_at(codes, element % 16);
  return element < 16 ? both & 0xfU : both >> 4;
}

/// Numbers of 4 bits one after the other, low halves first.
inline unsigned packed_nibble(const std::byte* bytes, int index) {
  return byte_at(bytes, index / 2) >> (4 * (index % 2)) & 0xfU;
}

/// 2-bit codes of 256 elements: 32 bytes hold 128 of them, four to a byte, 32 apart.
inline unsigned bit_pair(const std::byte* codes, int element) {
  return byte_at(codes, element / 128 * 32 + element % 32) >> (element % 128 / 32 * 2) & 3U;
}

}  // namespace sgpt_mi::blocks
