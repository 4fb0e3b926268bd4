#include "sgpt_mi/blocks/block_types.h"

#include <array>

#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::blocks {
namespace {

// Block layouts and formulas: ggml, src/ggml-common.h and src/ggml-quants.c (dequantize_row_*).

constexpr int kBlock = 32;        // elements of a block of the simple types
constexpr int kSuperBlock = 256;  // elements of a block of the K types

unsigned byte_at(const std::byte* bytes, int index) {
  return std::to_integer<unsigned>(bytes[index]);
}

int signed_byte_at(const std::byte* bytes, int index) {
  return static_cast<std::int8_t>(byte_at(bytes, index));
}

/// The binary16 number at a place.
float half_at(const std::byte* bytes) {
  return kernels::half_to_float(
      static_cast<std::uint16_t>(byte_at(bytes, 0) | byte_at(bytes, 1) << 8));
}

/// Codes of 4 bits: the low halves of 16 bytes, then the high halves.
unsigned nibble(const std::byte* codes, int element) {
  const unsigned both = byte_at(codes, element % 16);
  return element < 16 ? both & 0xfU : both >> 4;
}

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

/// Codes of 5 bits: 32 fifth bits in 4 bytes, then the nibbles.
unsigned five_bits(const std::byte* codes, int element) {
  const unsigned fifth = byte_at(codes, element / 8) >> (element % 8) & 1U;
  return nibble(codes + 4, element) | fifth << 4;
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

constexpr std::array<BlockType, 11> kTypes{{
    {0, "F32", 1, 4, DType::kF32, nullptr},
    {1, "F16", 1, 2, DType::kF16, nullptr},
    {30, "BF16", 1, 2, DType::kBF16, nullptr},
    {2, "Q4_0", kBlock, 18, std::nullopt, unpack_q4_0},
    {3, "Q4_1", kBlock, 20, std::nullopt, unpack_q4_1},
    {6, "Q5_0", kBlock, 22, std::nullopt, unpack_q5_0},
    {7, "Q5_1", kBlock, 24, std::nullopt, unpack_q5_1},
    {8, "Q8_0", kBlock, 34, std::nullopt, unpack_q8_0},
    {12, "Q4_K", kSuperBlock, 144, std::nullopt, unpack_q4_k},
    {13, "Q5_K", kSuperBlock, 176, std::nullopt, unpack_q5_k},
    {14, "Q6_K", kSuperBlock, 210, std::nullopt, unpack_q6_k},
}};

struct UnreadType {
  std::uint32_t id;
  std::string_view name;
};

constexpr std::array<UnreadType, 22> kUnreadTypes{{
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"},  {40, "NVFP4"},
}};

}  // namespace

const BlockType* find_block_type(std::uint32_t id) {
  for (const BlockType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

std::string_view block_type_name(std::uint32_t id) {
  if (const BlockType* type = find_block_type(id); type != nullptr) return type->name;
  for (const UnreadType& type : kUnreadTypes) {
    if (type.id == id) return type.name;
  }
  return "of an unknown number";
}

}  // namespace sgpt_mi::blocks
