#include <cstring>

#include "block_layouts.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::blocks {
namespace {

/// Bytes that are filled bit by bit; all start as 0.
class Bytes {
 public:
  Bytes(std::byte* bytes, std::size_t count) : bytes_(bytes) { std::memset(bytes, 0, count); }

  /// Sets bits of a byte that are still 0, from bit `shift` up.
  void put(std::int64_t index, unsigned bits, std::int64_t shift = 0) {
    bytes_[index] |= static_cast<std::byte>(bits << shift);
  }

  void put_half(std::int64_t index, float value) {
    const std::uint16_t half = kernels::float_to_half(value);
    put(index, half & 0xffU);
    put(index + 1, half >> 8);
  }

  /// The layouts of unpack_blocks.cpp: 4-bit codes of 32 elements in 16 bytes ...
  void put_nibble(std::int64_t start, std::int64_t element, unsigned code) {
    put(start + element % 16, code & 0xfU, element < 16 ? 0 : 4);
  }
  /// ... a fifth bit of each in 4 more, before them ...
  void put_five_bits(std::int64_t start, std::int64_t element, unsigned code) {
    put(start + element / 8, code >> 4, element % 8);
    put_nibble(start + 4, element, code);
  }
  /// ... those of 256 elements, two groups of 32 to 32 bytes ...
  void put_super_nibble(std::int64_t start, std::int64_t element, unsigned code) {
    put(start + element / 64 * 32 + element % 32, code & 0xfU, element / 32 % 2 * 4);
  }
  /// ... and pairs of bits.
  void put_pair(std::int64_t start, std::int64_t element, unsigned code) {
    put(start + element / 128 * 32 + element % 32, code & 3U, element % 128 / 32 * 2);
  }

 private:
  std::byte* bytes_;
};

unsigned whole(float value) { return static_cast<unsigned>(static_cast<int>(value)); }

/// Scales and minima of the 8 groups of Q4_K and Q5_K: group_scale() of unpack_blocks.cpp.
void put_group_scales(const BlockParts& parts, Bytes& bytes) {
  bytes.put_half(0, parts.super_scale);
  bytes.put_half(2, parts.super_minimum);
  for (std::int64_t group = 0; group < 8; ++group) {
    const unsigned scale = whole(parts.sub_scale[group]);
    const unsigned minimum = whole(parts.sub_minimum[group]);
    if (group < 4) {
      bytes.put(4 + group, scale);
      bytes.put(8 + group, minimum);
    } else {
      bytes.put(8 + group, (scale & 0xfU) | (minimum & 0xfU) << 4);
      bytes.put(group, scale >> 4, 6);
      bytes.put(4 + group, minimum >> 4, 6);
    }
  }
}

}  // namespace

void pack_q4_0(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 18);
  bytes.put_half(0, parts.super_scale);
  for (std::int64_t i = 0; i < 32; ++i) bytes.put_nibble(2, i, parts.codes[i]);
}

void pack_q4_1(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 20);
  bytes.put_half(0, parts.super_scale);
  bytes.put_half(2, -parts.super_minimum);
  for (std::int64_t i = 0; i < 32; ++i) bytes.put_nibble(4, i, parts.codes[i]);
}

void pack_q5_0(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 22);
  bytes.put_half(0, parts.super_scale);
  for (std::int64_t i = 0; i < 32; ++i) bytes.put_five_bits(2, i, parts.codes[i]);
}

void pack_q5_1(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 24);
  bytes.put_half(0, parts.super_scale);
  bytes.put_half(2, -parts.super_minimum);
  for (std::int64_t i = 0; i < 32; ++i) bytes.put_five_bits(4, i, parts.codes[i]);
}

void pack_q8_0(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 34);
  bytes.put_half(0, parts.super_scale);
  for (std::int64_t i = 0; i < 32; ++i) {
    bytes.put(2 + i, static_cast<std::uint8_t>(parts.codes[i] - 128));
  }
}

void pack_q4_k(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 144);
  put_group_scales(parts, bytes);
  for (std::int64_t i = 0; i < 256; ++i) bytes.put_super_nibble(16, i, parts.codes[i]);
}

void pack_q5_k(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 176);
  put_group_scales(parts, bytes);
  for (std::int64_t i = 0; i < 256; ++i) {
    bytes.put(16 + i % 32, parts.codes[i] >> 4, i / 32);
    bytes.put_super_nibble(48, i, parts.codes[i]);
  }
}

void pack_q6_k(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 210);
  bytes.put_half(208, parts.super_scale);
  for (std::int64_t group = 0; group < 16; ++group) {
    bytes.put(192 + group, static_cast<std::uint8_t>(whole(parts.sub_scale[group])));
  }
  for (std::int64_t i = 0; i < 256; ++i) {
    const std::int64_t half = i / 128;
    const std::int64_t quarter = i % 128 / 32;
    bytes.put(half * 64 + quarter % 2 * 32 + i % 32, parts.codes[i] & 0xfU, quarter < 2 ? 0 : 4);
    bytes.put(128 + half * 32 + i % 32, parts.codes[i] >> 4, 2 * quarter);
  }
}

void pack_q2_k(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 84);
  for (std::int64_t group = 0; group < 16; ++group) {
    bytes.put(group, whole(parts.sub_scale[group]) | whole(parts.sub_minimum[group]) << 4);
  }
  for (std::int64_t i = 0; i < 256; ++i) bytes.put_pair(16, i, parts.codes[i]);
  bytes.put_half(80, parts.super_scale);
  bytes.put_half(82, parts.super_minimum);
}

void pack_q3_k(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 110);
  for (std::int64_t i = 0; i < 256; ++i) {
    bytes.put(i % 32, parts.codes[i] >> 2, i / 32);
    bytes.put_pair(32, i, parts.codes[i]);
  }
  for (std::int64_t group = 0; group < 16; ++group) {
    const unsigned scale = whole(parts.sub_scale[group] + 32.0F);
    bytes.put(96 + group % 8, scale & 0xfU, group < 8 ? 0 : 4);
    bytes.put(104 + group % 4, scale >> 4, 2 * (group / 4));
  }
  bytes.put_half(108, parts.super_scale);
}

void pack_iq4_nl(const BlockParts& parts, std::byte* block) { pack_q4_0(parts, block); }

void pack_iq4_xs(const BlockParts& parts, std::byte* block) {
  Bytes bytes(block, 136);
  bytes.put_half(0, parts.super_scale);
  for (std::int64_t group = 0; group < 8; ++group) {
    const unsigned scale = whole(parts.sub_scale[group] + 32.0F);
    bytes.put(2 + group / 4, scale >> 4, 2 * (group % 4));
    bytes.put(4 + group / 2, scale & 0xfU, 4 * (group % 2));
    for (std::int64_t i = 0; i < 32; ++i) {
      bytes.put_nibble(8 + group * 16, i, parts.codes[group * 32 + i]);
    }
  }
}

}  // namespace sgpt_mi::blocks
