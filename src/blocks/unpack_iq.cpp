#include <bit>
#include <cstddef>

#include "block_bytes.h"
#include "block_layouts.h"
#include "iq_grids.h"

namespace sgpt_mi::blocks {
namespace {

// Block layouts and formulas: ggml, src/ggml-common.h and src/ggml-quants.c (dequantize_row_iq*).
// Elements come in octets, 32 in a block; each has an index into a code book of 8 levels, or two
// into one of 4.

constexpr int kOctets = 32;  // of a block

/// 32 bits, little-endian.
unsigned double_word_at(const std::byte* bytes, int index) {
  return word_at(bytes, 2 * index) | word_at(bytes, 2 * index + 1) << 16;
}

/// Eight signs of seven bits: the eighth makes the number of minuses even (ksigns_iq2xs).
unsigned even_signs(unsigned seven) {
  return seven | (static_cast<unsigned>(std::popcount(seven)) & 1U) << 7;
}

/// An octet of the IQ2 types: 2 bits a level, and a bit a sign.
void put_octet2(float scale, unsigned entry, unsigned signs, float* out) {
  for (int i = 0; i < 8; ++i) {
    const float value = scale * kLevels2[entry >> (2 * i) & 3U];
    out[i] = (signs >> i & 1U) == 0 ? value : -value;
  }
}

/// An octet of the IQ3 types: two entries of 3 bits a level.
void put_octet3(float scale, const std::array<float, 8>& levels, unsigned entries, unsigned signs,
                float* out) {
  for (int i = 0; i < 8; ++i) {
    const unsigned entry = i < 4 ? entries & 0xffffU : entries >> 16;
    const float value = scale * levels[entry >> (3 * (i % 4)) & 7U];
    out[i] = (signs >> i & 1U) == 0 ? value : -value;
  }
}

/// An octet of the IQ1 types: levels -1, 0, 1, moved by an eighth.
void put_octet1(float scale, unsigned entry, bool down, float* out) {
  const float delta = down ? -0.125F : 0.125F;
  for (int i = 0; i < 8; ++i) out[i] = scale * (kLevels1[entry >> (2 * i) & 3U] + delta);
}

/// The scale of a group of the IQ2 types, from 4 bits.
float scale2(float block, unsigned code) {
  return block * (0.5F + static_cast<float>(code)) * 0.25F;
}

}  // namespace

/// A half; of each 32 elements 4 bytes of indices, and 4 with 4 times 7 signs and a scale.
void unpack_iq2_xxs(const std::byte* block, float* out) {
  for (int octet = 0; octet < kOctets; ++octet) {
    const std::byte* group = block + 2 + std::ptrdiff_t{8} * (octet / 4);
    const unsigned rest = double_word_at(group, 1);
    put_octet2(scale2(half_at(block), rest >> 28), kGrid2Xxs[byte_at(group, octet % 4)],
               even_signs(rest >> (7 * (octet % 4)) & 127U), out + std::ptrdiff_t{8} * octet);
  }
}

/// A half, 32 words of a 9-bit index and 7 signs, 16 scales.
void unpack_iq2_xs(const std::byte* block, float* out) {
  for (int octet = 0; octet < kOctets; ++octet) {
    const unsigned word = word_at(block + 2, octet);
    put_octet2(scale2(half_at(block), packed_nibble(block + 66, octet / 2)), kGrid2Xs[word & 511U],
               even_signs(word >> 9), out + std::ptrdiff_t{8} * octet);
  }
}

/// A half, 32 low bytes of indices, 32 of signs, 8 of pairs of high bits, 16 scales.
void unpack_iq2_s(const std::byte* block, float* out) {
  for (int octet = 0; octet < kOctets; ++octet) {
    const unsigned high = byte_at(block + 66, octet / 4) >> (2 * (octet % 4)) & 3U;
    put_octet2(scale2(half_at(block), packed_nibble(block + 74, octet / 2)),
               kGrid2S[byte_at(block + 2, octet) | high << 8], byte_at(block + 34, octet),
               out + std::ptrdiff_t{8} * octet);
  }
}

/// A half, 64 indices, 8 times 4 times 7 signs and a scale.
void unpack_iq3_xxs(const std::byte* block, float* out) {
  for (int octet = 0; octet < kOctets; ++octet) {
    const unsigned rest = double_word_at(block + 66, octet / 4);
    const float scale = half_at(block) * (0.5F + static_cast<float>(rest >> 28)) * 0.5F;
    const unsigned first = kGrid3Xxs[byte_at(block + 2, 2 * octet)];
    const unsigned second = kGrid3Xxs[byte_at(block + 2, 2 * octet + 1)];
    put_octet3(scale, kLevels3Xxs, first | second << 16,
               even_signs(rest >> (7 * (octet % 4)) & 127U), out + std::ptrdiff_t{8} * octet);
  }
}

/// A half, 64 low bytes of indices, 8 of high bits, 32 of signs, 8 scales.
void unpack_iq3_s(const std::byte* block, float* out) {
  const auto entry = [&](int index) {
    const unsigned high = byte_at(block + 66, index / 8) >> (index % 8) & 1U;
    return static_cast<unsigned>(kGrid3S[byte_at(block + 2, index) | high << 8]);
  };
  for (int octet = 0; octet < kOctets; ++octet) {
    const unsigned code = packed_nibble(block + 106, octet / 4);
    put_octet3(half_at(block) * static_cast<float>(1 + 2 * code), kLevels3S,
               entry(2 * octet) | entry(2 * octet + 1) << 16, byte_at(block + 74, octet),
               out + std::ptrdiff_t{8} * octet);
  }
}

/// A half, 32 low bytes of indices, 8 words of 4 times 3 high bits, a scale and which way to move.
void unpack_iq1_s(const std::byte* block, float* out) {
  for (int octet = 0; octet < kOctets; ++octet) {
    const unsigned word = word_at(block + 34, octet / 4);
    const unsigned high = word >> (3 * (octet % 4)) & 7U;
    put_octet1(half_at(block) * static_cast<float>(2 * (word >> 12 & 7U) + 1),
               kGrid1[byte_at(block + 2, octet) | high << 8], (word & 0x8000U) != 0,
               out + std::ptrdiff_t{8} * octet);
  }
}

/// 32 low bytes of indices, 32 times 3 high bits and which way to move, 4 words of 4 times a scale
/// of 3 bits; the words' last 4 bits together are the half.
void unpack_iq1_m(const std::byte* block, float* out) {
  const std::byte* scales = block + 48;
  unsigned half = 0;
  for (int word = 0; word < 4; ++word) half |= word_at(scales, word) >> 12 << (4 * word);
  const float block_scale = kernels::half_to_float(static_cast<std::uint16_t>(half));
  for (int octet = 0; octet < kOctets; ++octet) {
    const int group = octet / 2;
    const unsigned code = word_at(scales, group / 4) >> (3 * (group % 4)) & 7U;
    const unsigned rest = packed_nibble(block + 32, octet);
    put_octet1(block_scale * static_cast<float>(2 * code + 1),
               kGrid1[byte_at(block, octet) | (rest & 7U) << 8], (rest & 8U) != 0,
               out + std::ptrdiff_t{8} * octet);
  }
}

}  // namespace sgpt_mi::blocks
