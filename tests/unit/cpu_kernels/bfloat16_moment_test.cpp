#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "cpu_kernels/bfloat16_sets.h"
#include "cpu_kernels/tile_registers.h"
#include "moment_examples.h"
#include "sgpt_mi/cpu_kernels/bfloat16_product.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

class Bfloat16Moments : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    set_ = test::set_of(GetParam());
    if (set_.add_moment == nullptr) GTEST_SKIP() << test::reason_without(GetParam());
  }
  Bfloat16Set set_;
};

TEST_P(Bfloat16Moments, AddsWholeNumbersExactly) {
  constexpr std::int64_t kTokens = 37;
  constexpr std::int64_t kChannels = 50;
  test::Matrix<float> x(kTokens, kChannels);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t j = 0; j < kChannels; ++j) {
      x(t, j) = (t % 2 == 0 ? 1.0F : -1.0F) * static_cast<float>(j + 1);
    }
  }
  test::Matrix<float> sums(kChannels, kChannels, 1.0F);
  set_.add_moment(test::Bfloat16Matrix(x, kTokens, kChannels).view(), sums.view(), {});
  for (std::int64_t j = 0; j < kChannels; ++j) {
    for (std::int64_t k = j; k < kChannels; ++k) {
      ASSERT_EQ(sums(j, k), static_cast<float>(kTokens * (j + 1) * (k + 1) + 1));
    }
  }
}

TEST_P(Bfloat16Moments, GivesTheSameBitsOnAnyNumberOfThreads) {
  constexpr std::int64_t kChannels = 300;
  const test::Bfloat16Matrix x(test::normal_matrix(700, kChannels, 7), 700, kChannels);
  test::Matrix<float> one(kChannels, kChannels);
  test::Matrix<float> three(kChannels, kChannels);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  set_.add_moment(x.view(), one.view(), {});
  set_.add_moment(x.view(), three.view(), threaded);
  for (std::int64_t j = 0; j < kChannels; ++j) {
    for (std::int64_t k = j; k < kChannels; ++k) ASSERT_EQ(one(j, k), three(j, k));
  }
}

/// What fills up tiles meets no value but in sums that nobody keeps.
TEST_P(Bfloat16Moments, KeepsAnInfinityInItsRowAndColumn) {
  constexpr std::int64_t kChannels = 17;
  test::Matrix<float> x(3, kChannels, 2.0F);
  x(1, kChannels - 1) = std::numeric_limits<float>::infinity();
  test::Matrix<float> sums(kChannels, kChannels);
  set_.add_moment(test::Bfloat16Matrix(x, 3, kChannels).view(), sums.view(), {});
  for (std::int64_t j = 0; j < kChannels; ++j) {
    for (std::int64_t k = j; k + 1 < kChannels; ++k) ASSERT_EQ(sums(j, k), 12.0F);
    ASSERT_TRUE(std::isinf(sums(j, kChannels - 1)));
  }
}

/// Rows that lie apart: what is between them is not read into sums.
TEST_P(Bfloat16Moments, TakesColumnsOfAWiderMatrix) {
  constexpr std::int64_t kChannels = 35;
  constexpr std::int64_t kWider = kChannels + 9;
  const test::Bfloat16Matrix wide(test::normal_matrix(70, kWider, 9), 70, kWider);
  const test::Bfloat16Matrix narrow(wide.values, 70, kChannels);
  test::Matrix<float> expected(kChannels, kChannels);
  test::Matrix<float> sums(kChannels, kChannels);
  set_.add_moment(narrow.view(), expected.view(), {});
  set_.add_moment({wide.bits.data(), 70, kChannels, kWider}, sums.view(), {});
  for (std::int64_t j = 0; j < kChannels; ++j) {
    for (std::int64_t k = j; k < kChannels; ++k) ASSERT_EQ(sums(j, k), expected(j, k));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Bfloat16Moments, testing::Values("AMX_BF16", "AVX512_BF16"),
                         [](const auto& set) { return set.param; });

/// Name, tokens, channels.
class Bfloat16MomentShapes
    : public testing::TestWithParam<std::tuple<std::string, std::int64_t, std::int64_t>> {};

TEST_P(Bfloat16MomentShapes, EqualTheExactSums) {
  const auto [name, tokens, channels] = GetParam();
  const Bfloat16Set set = test::set_of(name);
  if (set.add_moment == nullptr) GTEST_SKIP() << test::reason_without(name);
  const test::Bfloat16Matrix x(test::normal_matrix(tokens, channels, 6), tokens, channels);
  test::Matrix<float> sums(channels, channels, 0.0F, 3);
  set.add_moment(x.view(), sums.view(), {});
  test::expect_second_moment(x.values, tokens, channels, sums);
  EXPECT_TRUE(sums.padding_is(0.0F));
  for (std::int64_t j = 0; j < channels; ++j) {  // below the blocks of either set
    for (std::int64_t k = 0; k / 48 < j / 48 && k / 32 < j / 32; ++k) ASSERT_EQ(sums(j, k), 0.0F);
  }
}

INSTANTIATE_TEST_SUITE_P(Edges, Bfloat16MomentShapes,
                         testing::Combine(testing::Values("AMX_BF16", "AVX512_BF16"),
                                          testing::Values(1, 2, 31, 32, 33, 100),
                                          testing::Values(1, 15, 16, 17, 33, 64, 576)));

/// Several times the tokens that are packed at once, and a rest.
INSTANTIATE_TEST_SUITE_P(Long, Bfloat16MomentShapes,
                         testing::Combine(testing::Values("AMX_BF16", "AVX512_BF16"),
                                          testing::Values(512, 513, 1100), testing::Values(131)));

TEST(TileRegisters, PackedTilesHoldPairsOfTokensBothWays) {
  if (!has_bfloat16_tiles()) GTEST_SKIP() << test::reason_without("AMX_BF16");
  constexpr std::int64_t kStride = kTileSide + 3;
  std::vector<std::uint16_t> x(kTileTokens * kStride);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint16_t>(i * 97);
  alignas(64) std::uint32_t left[kTileWords];
  alignas(64) std::uint32_t right[kTileWords];
  pack_tile(x.data(), kStride, left, right);
  for (std::int64_t pair = 0; pair < kTileSide; ++pair) {
    for (std::int64_t column = 0; column < kTileSide; ++column) {
      const auto even = static_cast<std::size_t>(2 * pair * kStride + column);
      const std::uint32_t word = x[even] | static_cast<std::uint32_t>(x[even + kStride]) << 16;
      ASSERT_EQ(left[column * kTileSide + pair], word);
      ASSERT_EQ(right[pair * kTileSide + column], word);
    }
  }
  alignas(64) std::uint32_t one[kTileWords];
  pack_tile(x.data(), kStride, one, nullptr);
  EXPECT_TRUE(std::equal(one, one + kTileWords, left));
  pack_tile(x.data(), kStride, nullptr, one);
  EXPECT_TRUE(std::equal(one, one + kTileWords, right));
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
