#include "sgpt_mi/blocks/encode_blocks.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::blocks {
namespace {

constexpr std::int64_t kRows = 3;
constexpr std::int64_t kColumns = 512;

/// A matrix's codes and scales, all within the ranges of its type.
struct Parts {
  explicit Parts(const BlockType& type)
      : codes(kRows * kColumns),
        super_scale(blocks(type)),
        super_minimum(super_scale.size()),
        sub_scale(groups(type)),
        sub_minimum(sub_scale.size()) {
    std::mt19937 random(type.id);
    const auto number = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    for (std::uint8_t& code : codes) {
      code = static_cast<std::uint8_t>(number(0, static_cast<int>(type.max_code())));
    }
    // Multiples of 2^-9 below 2 are binary16 numbers.
    for (float& scale : super_scale) scale = static_cast<float>(number(-1000, 1000)) / 512.0F;
    const bool offsets = type.form == BlockForm::kOffset;
    for (float& minimum : super_minimum) {
      minimum = offsets ? static_cast<float>(number(0, 1000)) / 512.0F : 0.0F;
    }
    const bool subs = type.has_subs();
    for (float& sub : sub_scale) {
      sub = subs ? static_cast<float>(
                       number(static_cast<int>(type.least_sub), static_cast<int>(type.most_sub)))
                 : 1.0F;
    }
    for (float& sub : sub_minimum) {
      sub = subs ? static_cast<float>(number(0, static_cast<int>(type.most_sub))) : 1.0F;
    }
  }

  static std::size_t blocks(const BlockType& type) {
    return static_cast<std::size_t>(kRows * kColumns / type.block_elements);
  }
  static std::size_t groups(const BlockType& type) {
    return static_cast<std::size_t>(kRows * kColumns / type.group);
  }

  BlockScales scales(const BlockType& type) {
    const std::int64_t by_block = kColumns / type.block_elements;
    const std::int64_t by_group = kColumns / type.group;
    return {{super_scale.data(), kRows, by_block, by_block},
            {super_minimum.data(), kRows, by_block, by_block},
            {sub_scale.data(), kRows, by_group, by_group},
            {sub_minimum.data(), kRows, by_group, by_group}};
  }

  /// The value of one code by the formulas of BlockForm and BlockParts.
  [[nodiscard]] float value(const BlockType& type, std::int64_t row, std::int64_t column) const {
    const std::int64_t place = row * kColumns + column;
    const auto block = static_cast<std::size_t>(place / type.block_elements);
    const auto group = static_cast<std::size_t>(place / type.group);
    const float scale = super_scale[block] * sub_scale[group];
    const std::uint8_t code = codes[static_cast<std::size_t>(place)];
    if (type.form == BlockForm::kTable) return scale * kTable4[code];
    if (type.form == BlockForm::kShift) return scale * (static_cast<float>(code) - type.shift);
    const float product = scale * static_cast<float>(code);
    return product + -(super_minimum[block] * sub_minimum[group]);
  }

  std::vector<std::uint8_t> codes;
  std::vector<float> super_scale;
  std::vector<float> super_minimum;
  std::vector<float> sub_scale;
  std::vector<float> sub_minimum;
};

TEST(EncodeBlocks, DecodeGivesTheValuesOfTheCodesBitForBit) {
  int tried = 0;
  for (const BlockType& type : block_types()) {
    if (type.form == BlockForm::kPlain) continue;
    Parts parts(type);
    const std::vector<std::byte> bytes = encode_blocks(
        type, {parts.codes.data(), kRows, kColumns, kColumns}, parts.scales(type), serial_for());
    std::vector<float> values(static_cast<std::size_t>(kRows * kColumns));
    decode_blocks({&type, kRows, kColumns, bytes}, values.data(), serial_for());
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (std::int64_t column = 0; column < kColumns; ++column) {
        const float expected = parts.value(type, row, column);
        const float found = values[static_cast<std::size_t>(row * kColumns + column)];
        ASSERT_EQ(std::memcmp(&expected, &found, sizeof found), 0)
            << type.name << " row " << row << " column " << column << ": " << found << " for "
            << expected;
      }
    }
    ++tried;
  }
  EXPECT_EQ(tried, 12);
}

TEST(EncodeBlocks, StoredBitsOfTheTypes) {
  EXPECT_EQ(find_block_type("q2_k")->bits(), 2.625);
  EXPECT_EQ(find_block_type("Q3_K")->bits(), 3.4375);
  EXPECT_EQ(find_block_type("iq4_xs")->bits(), 4.25);
  EXPECT_EQ(find_block_type("Q4_0")->bits(), 4.5);
  EXPECT_EQ(find_block_type("Q6_K")->bits(), 6.5625);
  EXPECT_EQ(find_block_type("Q8_0")->bits(), 8.5);
  EXPECT_EQ(find_block_type("Q9_K"), nullptr);
}

}  // namespace
}  // namespace sgpt_mi::blocks
