#include "sgpt_mi/blocks/block_types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "recorded_blocks.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::blocks {
namespace {

constexpr std::size_t kHalf = 2;  // bytes of a scale

/// binary16 of 0.5 and -2, little-endian.
constexpr const char kHalfOfOne[] = "\x00\x38";
constexpr const char kMinusTwo[] = "\x00\xc0";

std::string half(const char* bytes) { return {bytes, kHalf}; }

std::vector<float> unpack(std::uint32_t id, const std::string& block) {
  const BlockType* type = find_block_type(id);
  EXPECT_NE(type, nullptr);
  EXPECT_EQ(block.size(), static_cast<std::size_t>(type->block_bytes));
  std::vector<float> values(static_cast<std::size_t>(type->block_elements));
  type->unpack(reinterpret_cast<const std::byte*>(block.data()), values.data());
  return values;
}

/// 16 bytes whose low nibbles count up 0..15 and whose high ones count down 15..0.
std::string nibble_ramp() {
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes += static_cast<char>(i | (15 - i) << 4);
  return bytes;
}

/// The code that nibble_ramp() holds for element i of 32.
int ramp_code(int i) { return i < 16 ? i : 31 - i; }

TEST(BlockTypes, SimpleFourBitBlocksInClosedForm) {
  const auto centred = unpack(2, half(kHalfOfOne) + nibble_ramp());                    // Q4_0
  const auto shifted = unpack(3, half(kHalfOfOne) + half(kMinusTwo) + nibble_ramp());  // Q4_1
  for (int i = 0; i < 32; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(centred[at], 0.5F * static_cast<float>(ramp_code(i) - 8)) << i;
    EXPECT_EQ(shifted[at], 0.5F * static_cast<float>(ramp_code(i)) - 2.0F) << i;
  }
}

TEST(BlockTypes, SimpleFiveBitBlocksInClosedForm) {
  const std::string fifth("\x01\x80\x01\x80", 4);  // of elements 0, 15, 16 and 31
  const auto centred = unpack(6, half(kHalfOfOne) + fifth + nibble_ramp());
  const auto shifted = unpack(7, half(kHalfOfOne) + half(kMinusTwo) + fifth + nibble_ramp());
  for (int i = 0; i < 32; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool high = i == 0 || i == 15 || i == 16 || i == 31;
    const int code = ramp_code(i) + (high ? 16 : 0);
    EXPECT_EQ(centred[at], 0.5F * static_cast<float>(code - 16)) << i;
    EXPECT_EQ(shifted[at], 0.5F * static_cast<float>(code) - 2.0F) << i;
  }
}

TEST(BlockTypes, EightBitBlockInClosedForm) {
  std::string codes;
  for (int i = 0; i < 32; ++i) codes += static_cast<char>(8 * i - 128);
  const auto values = unpack(8, half(kMinusTwo) + codes);
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(values[static_cast<std::size_t>(i)], -2.0F * static_cast<float>(8 * i - 128)) << i;
  }
}

/// 12 bytes with scale 8 g + 1 and minimum 63 - 8 g for the groups g = 0..7.
std::string group_scales() {
  const auto scale = [](int group) { return 8 * group + 1; };
  const auto minimum = [](int group) { return 63 - 8 * group; };
  std::string bytes(12, '\0');
  for (std::size_t i = 0; i < 4; ++i) {
    const int group = static_cast<int>(i);
    bytes[i] = static_cast<char>(scale(group) | scale(group + 4) >> 4 << 6);
    bytes[i + 4] = static_cast<char>(minimum(group) | minimum(group + 4) >> 4 << 6);
    bytes[i + 8] = static_cast<char>((scale(group + 4) & 15) | (minimum(group + 4) & 15) << 4);
  }
  return bytes;
}

TEST(BlockTypes, FourBitSuperBlockInClosedForm) {
  const std::string codes(128, '\x53');  // 3 in the even groups, 5 in the odd ones
  const auto values = unpack(12, half(kHalfOfOne) + half(kMinusTwo) + group_scales() + codes);
  for (int i = 0; i < 256; ++i) {
    const int group = i / 32;
    const int code = group % 2 == 0 ? 3 : 5;
    const double expected = 0.5 * (8 * group + 1) * code + 2.0 * (63 - 8 * group);
    EXPECT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(expected)) << i;
  }
}

TEST(BlockTypes, FiveBitSuperBlockInClosedForm) {
  const std::string fifth(32, '\x81');  // set in the first and the last group
  const std::string codes(128, '\x53');
  const auto values =
      unpack(13, half(kHalfOfOne) + half(kMinusTwo) + group_scales() + fifth + codes);
  for (int i = 0; i < 256; ++i) {
    const int group = i / 32;
    const int code = (group % 2 == 0 ? 3 : 5) + (group == 0 || group == 7 ? 16 : 0);
    const double expected = 0.5 * (8 * group + 1) * code + 2.0 * (63 - 8 * group);
    EXPECT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(expected)) << i;
  }
}

TEST(BlockTypes, SixBitSuperBlockInClosedForm) {
  std::string scales;
  for (int i = 0; i < 16; ++i) scales += static_cast<char>(i - 8);
  // Low nibbles 3 (quarters 0 and 1 of a half) and 5 (2 and 3); high pairs 0, 1, 2, 3 by quarter.
  const std::string block =
      std::string(128, '\x53') + std::string(64, '\xe4') + scales + half(kHalfOfOne);
  const auto values = unpack(14, block);
  for (int i = 0; i < 256; ++i) {
    const int quarter = i % 128 / 32;
    const int code = (quarter < 2 ? 3 : 5) + 16 * quarter - 32;
    EXPECT_EQ(values[static_cast<std::size_t>(i)], 0.5F * static_cast<float>((i / 16 - 8) * code))
        << i;
  }
}

TEST(BlockTypes, ScalesAreExactHalves) {
  const auto first_value = [](const char* scale) {
    return unpack(8, half(scale) + std::string(32, '\1'))[0];
  };
  EXPECT_EQ(first_value("\x01\x00"), 0x1p-24F);     // smallest subnormal
  EXPECT_EQ(first_value("\xff\x83"), -0x3ffp-24F);  // largest subnormal, negative
  EXPECT_EQ(first_value("\x00\x04"), 0x1p-14F);     // smallest normal
  EXPECT_EQ(first_value("\xff\x7b"), 65504.0F);
  EXPECT_TRUE(std::isinf(first_value("\x00\x7c")));
  EXPECT_TRUE(std::isnan(first_value("\x00\x7e")));
}

TEST(BlockTypes, RandomBlocksAgreeWithTheReferencePackage) {
  for (const GgufBlock& block : kGgufBlocks) {
    std::string bytes;
    for (std::size_t i = 0; i < block.hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(std::string(block.hex.substr(i, 2)), nullptr, 16));
    }
    const std::vector<float> values = unpack(block.type, bytes);
    double sum = 0;
    double weighted_sum = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      sum += values[i];
      weighted_sum += static_cast<double>(i + 1) * values[i];
      magnitude += static_cast<double>(i + 1) * std::abs(values[i]);
    }
    // Both sides round each product and sum to float32: two roundings of an element and of the
    // terms it is the difference of, which are below 32 times it on average.
    const double tolerance = 64 * 0x1p-24 * magnitude;
    EXPECT_NEAR(sum, block.sum, tolerance) << block_type_name(block.type);
    EXPECT_NEAR(weighted_sum, block.weighted_sum, tolerance) << block_type_name(block.type);
    for (std::size_t i = 0; i < block.places.size(); ++i) {
      EXPECT_NEAR(values[block.places[i]], block.values[i], 1e-5) << block_type_name(block.type);
    }
  }
}

TEST(BlockTypes, TernaryBlocksInClosedForm) {
  // All bytes 243: the digits 22222 of 242 in base 3, times 256 / 243, rounded up, are 255; 0 gives
  // -1 everywhere; 128 is 11111 (121).
  for (const auto& [byte, value] : {std::pair('\xff', 0.5F), {'\0', -0.5F}, {'\x80', 0.0F}}) {
    for (const float seen : unpack(34, std::string(52, byte) + half(kHalfOfOne))) {
      EXPECT_EQ(seen, value);
    }
  }
  const auto pairs = unpack(35, std::string(64, '\x24') + half(kHalfOfOne));  // 0, 1, 2, 0
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    constexpr std::array<float, 4> kQuarters{-0.5F, 0.0F, 0.5F, -0.5F};
    EXPECT_EQ(pairs[i], kQuarters[i % 128 / 32]) << i;
  }
}

TEST(BlockTypes, FourBitFloatsInClosedForm) {
  constexpr std::array<float, 16> kE2m1{0,  0.5F,  1,  1.5F,  2,  3,  4,  6,
                                        -0, -0.5F, -1, -1.5F, -2, -3, -4, -6};
  const auto shared = unpack(39, std::string("\x81", 1) + nibble_ramp());  // 2^(129 - 127)
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(shared[static_cast<std::size_t>(i)],
              4 * kE2m1[static_cast<std::size_t>(ramp_code(i))])
        << i;
  }
  // 1, 1.5, the smallest subnormal and NaN, which counts as 0.
  const auto own = unpack(40, std::string("\x38\x3c\x01\x7f", 4) + std::string(32, '\x42'));
  constexpr std::array<float, 4> kScales{1.0F, 1.5F, 0x1p-9F, 0.0F};
  for (std::size_t i = 0; i < own.size(); ++i) {
    EXPECT_EQ(own[i], kScales[i / 16] * (i % 16 < 8 ? 1.0F : 2.0F)) << i;
  }
}

TEST(BlockTypes, EveryTypeOfTheReferencePackageIsTested) {
  for (std::uint32_t id = 0; id < 64; ++id) {
    const BlockType* type = find_block_type(id);
    if (type == nullptr || type->unpack == nullptr) continue;
    EXPECT_TRUE(std::any_of(kGgufBlocks.begin(), kGgufBlocks.end(), [&](const GgufBlock& block) {
      return block.type == id;
    })) << type->name;
  }
}

TEST(BlockTypes, TypesThatAreOnlyReadAreNoTargets) {
  EXPECT_EQ(find_block_type("IQ3_S"), nullptr);
  EXPECT_EQ(find_block_type(21)->pack, nullptr);
  EXPECT_EQ(read_type_names().substr(0, 12), "IQ1_S, TQ1_0");
  EXPECT_EQ(read_type_names().substr(read_type_names().size() - 11), "BF16 or F32");
}

TEST(BlockTypes, UnreadTypesHaveNames) {
  EXPECT_EQ(find_block_type(15), nullptr);
  EXPECT_EQ(block_type_name(16), "IQ2_XXS");
  EXPECT_EQ(block_type_name(15), "Q8_K");
  EXPECT_EQ(block_type_name(14), "Q6_K");
  EXPECT_EQ(block_type_name(999), "of an unknown number");
}

}  // namespace
}  // namespace sgpt_mi::blocks
