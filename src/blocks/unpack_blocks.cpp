#include "block_bytes.h"
#include "block_layouts.h"
#include "sgpt_mi/blocks/block_types.h"

namespace sgpt_mi::blocks {
namespace {

// Block layouts and formulas: ggml, src/ggml-common.h and src/ggml-quants.c (dequantize_row_*).

constexpr int kBlock = 32;        // elements of a block of the simple types
constexpr int kSuperBlock = 256;  // elements of a block of the K types

int signed_byte_at(const std::byte* bytes, int index) {
  return static_cast<std::int8_t>(byte_at(bytes, index));
}

/// Codes of 5 bits: 32 fifth bits in 4 bytes, then the nibbles.
unsigned five_bits(const std::byte* codes, int element) {
  const unsigned fifth = byte_at(codes, element / 8) >> (element % 8) & 1U;
  return nibble(codes + 4, element) | fifth << 4;
}

/// Scale and minimum of one of the 8 groups of 32 of a Q4_K or Q5_K block.
struct GroupScale {
  float scale;
  float minimum;
};

/// 8 scales and 8 minima of 6 bits in 12 bytes: groups 0 to 3 in the low 6 bits of bytes 0-3 and
/// 4-7; of groups 4 to 7 the low 4 bits in bytes 8-11 and the high 2 above the others' 6.
GroupScale group_scale(const std::byte* block, int group) {
  const std::byte* packed = block + 4;
  unsigned scale = 0;
  unsigned minimum = 0;
  if (group < 4) {
    scale = byte_at(packed, group) & 63U;
    minimum = byte_at(packed, group + 4) & 63U;
  } else {
    scale = (byte_at(packed, group + 4) & 0xfU) | byte_at(packed, group - 4) >> 6 << 4;
    minimum = byte_at(packed, group + 4) >> 4 | byte_at(packed, group) >> 6 << 4;
  }
  return {half_at(block) * static_cast<float>(scale),
          half_at(block + 2) * static_cast<float>(minimum)};
}

/// 4-bit codes of 256 elements: 32 bytes hold two groups, low halves first.
unsigned super_nibble(const std::byte* codes, int element) {
  const unsigned both = byte_at(codes, element / 64 * 32 + element % 32);
  return element / 32 % 2 == 0 ? both & 0xfU : both >> 4;
}

/// The 6-bit scale of one of the 16 groups of a Q3_K block, less 32: 4 low bits in 8 bytes, 2 high
/// ones in 4.
int scale_q3_k(const std::byte* packed, int group) {
  const unsigned low = group < 8 ? byte_at(packed, group) & 0xfU : byte_at(packed, group - 8) >> 4;
  const unsigned high = byte_at(packed, 8 + group % 4) >> (2 * (group / 4)) & 3U;
  return static_cast<int>(low | high << 4) - 32;
}

}  // namespace

void unpack_q4_0(const std::byte* block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < kBlock; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int>(nibble(block + 2, i)) - 8);
  }
}

void unpack_q4_1(const std::byte* block, float* out) {
  const float scale = half_at(block);
  const float lowest = half_at(block + 2);
  for (int i = 0; i < kBlock; ++i) {
    out[i] = scale * static_cast<float>(nibble(block + 4, i)) + lowest;
  }
}

void unpack_q5_0(const std::byte* block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < kBlock; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int>(five_bits(block + 2, i)) - 16);
  }
}

void unpack_q5_1(const std::byte* block, float* out) {
  const float scale = half_at(block);
  const float lowest = half_at(block + 2);
  for (int i = 0; i < kBlock; ++i) {
    out[i] = scale * static_cast<float>(five_bits(block + 4, i)) + lowest;
  }
}

void unpack_q8_0(const std::byte* block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < kBlock; ++i) {
    out[i] = scale * static_cast<float>(signed_byte_at(block + 2, i));
  }
}

void unpack_q4_k(const std::byte* block, float* out) {
  for (int group = 0; group < 8; ++group) {
    const GroupScale by = group_scale(block, group);
    for (int i = group * 32; i < group * 32 + 32; ++i) {
      out[i] = by.scale * static_cast<float>(super_nibble(block + 16, i)) - by.minimum;
    }
  }
}

void unpack_q5_k(const std::byte* block, float* out) {
  for (int group = 0; group < 8; ++group) {
    const GroupScale by = group_scale(block, group);
    for (int i = group * 32; i < group * 32 + 32; ++i) {
      // Bit `group` of byte i % 32 is the fifth bit.
      const unsigned fifth = byte_at(block + 16, i % 32) >> group & 1U;
      const unsigned code = super_nibble(block + 48, i) | fifth << 4;
      out[i] = by.scale * static_cast<float>(code) - by.minimum;
    }
  }
}

/// 128 bytes of low nibbles, 64 of high bit pairs, 16 signed scales of 16 elements each, a half.
void unpack_q6_k(const std::byte* block, float* out) {
  const std::byte* scales = block + 192;
  const float scale = half_at(block + 208);
  for (int i = 0; i < kSuperBlock; ++i) {
    const int half = i / 128;          // each half uses 64 bytes of nibbles, 32 of pairs
    const int quarter = i % 128 / 32;  // 0, 1: low nibbles; 2, 3: high ones
    const unsigned both = byte_at(block, half * 64 + quarter % 2 * 32 + i % 32);
    const unsigned low = quarter < 2 ? both & 0xfU : both >> 4;
    const unsigned high = byte_at(block + 128, half * 32 + i % 32) >> (2 * quarter) & 3U;
    const int code = static_cast<int>(low | high << 4) - 32;
    out[i] = scale * static_cast<float>(signed_byte_at(scales, i / 16)) * static_cast<float>(code);
  }
}

/// 16 bytes of a low nibble (scale) and a high one (minimum), 64 of bit pairs, two halves.
void unpack_q2_k(const std::byte* block, float* out) {
  const float scale = half_at(block + 80);
  const float minimum = half_at(block + 82);
  for (int group = 0; group < 16; ++group) {
    const unsigned both = byte_at(block, group);
    const float by = scale * static_cast<float>(both & 0xfU);
    const float less = minimum * static_cast<float>(both >> 4);
    for (int i = group * 16; i < group * 16 + 16; ++i) {
      out[i] = by * static_cast<float>(bit_pair(block + 16, i)) - less;
    }
  }
}

/// 32 bytes of third bits, 64 of bit pairs, 12 of scales, a half.
void unpack_q3_k(const std::byte* block, float* out) {
  const float scale = half_at(block + 108);
  for (int i = 0; i < kSuperBlock; ++i) {
    const float by = scale * static_cast<float>(scale_q3_k(block + 96, i / 16));
    const unsigned third = byte_at(block, i % 32) >> (i / 32) & 1U;
    const int code = static_cast<int>(bit_pair(block + 32, i) | third << 2) - 4;
    out[i] = by * static_cast<float>(code);
  }
}

void unpack_iq4_nl(const std::byte* block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < kBlock; ++i) out[i] = scale * kTable4[nibble(block + 2, i)];
}

/// A half, 2 bytes of high bit pairs and 4 of low nibbles of 8 scales less 32, and the groups'
/// nibbles.
void unpack_iq4_xs(const std::byte* block, float* out) {
  const float scale = half_at(block);
  const unsigned high = byte_at(block, 2) | byte_at(block, 3) << 8;
  for (int group = 0; group < 8; ++group) {
    const unsigned low = packed_nibble(block + 4, group);
    const int sub = static_cast<int>(low | (high >> (2 * group) & 3U) << 4) - 32;
    const float by = scale * static_cast<float>(sub);
    const std::byte* codes = block + 8 + static_cast<std::ptrdiff_t>(group) * 16;
    for (int i = 0; i < 32; ++i) out[group * 32 + i] = by * kTable4[nibble(codes, i)];
  }
}

}  // namespace sgpt_mi::blocks
