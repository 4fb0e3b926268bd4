#include "sgpt_mi/cpu_kernels/tile_product.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <tuple>
#include <vector>

#include "moment_examples.h"
#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

using Bits = kernels::MatrixView<const std::uint16_t>;

constexpr const char* kNoTiles =
    "AMX_BF16: this processor has it not, or the system does not let this process use it";

test::Bfloat16Matrix normal_bits(std::int64_t tokens, std::int64_t columns, unsigned seed) {
  return test::Bfloat16Matrix(test::normal_matrix(tokens, columns, seed), tokens, columns);
}

/// Every value of `product`, which started at 1, within what float32 sums may be off.
void expect_product(const std::vector<const test::Matrix<float>*>& parts,
                    const test::Matrix<float>& b, const test::Matrix<float>& product) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  for (std::int64_t j = 0; j < product.rows(); ++j) {
    for (std::int64_t k = 0; k < product.columns(); ++k) {
      double exact = 1.0;
      double magnitude = 1.0;
      for (const test::Matrix<float>* part : parts) {
        for (std::int64_t t = 0; t < b.rows(); ++t) {
          const double value = static_cast<double>((*part)(t, j)) * b(t, k);
          exact += value;
          magnitude += std::fabs(value);
        }
      }
      const auto terms = static_cast<double>(static_cast<std::int64_t>(parts.size()) * b.rows());
      ASSERT_NEAR(product(j, k), exact, terms * kEpsilon * magnitude) << j << ", " << k;
    }
  }
}

/// Tokens, columns of a, columns of b.
class TileProductShapes
    : public testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, std::int64_t>> {};

TEST_P(TileProductShapes, EqualTheExactSumsOfOnePartAndOfTwo) {
  if (!has_bfloat16_tiles()) GTEST_SKIP() << kNoTiles;
  const auto [tokens, rows, columns] = GetParam();
  const test::Bfloat16Matrix first = normal_bits(tokens, rows, 1);
  const test::Bfloat16Matrix second = normal_bits(tokens, rows, 2);
  const test::Bfloat16Matrix b = normal_bits(tokens, columns, 3);
  const std::array<Bits, 2> parts{first.view(), second.view()};
  test::Matrix<float> one(rows, columns, 1.0F, 3);
  add_tile_product(std::span(parts).first(1), b.view(), one.view(), {});
  expect_product({&first.values}, b.values, one);
  EXPECT_TRUE(one.padding_is(1.0F));
  test::Matrix<float> both(rows, columns, 1.0F, 3);
  add_tile_product(parts, b.view(), both.view(), {});
  expect_product({&first.values, &second.values}, b.values, both);
  EXPECT_TRUE(both.padding_is(1.0F));
}

INSTANTIATE_TEST_SUITE_P(Edges, TileProductShapes,
                         testing::Combine(testing::Values(1, 2, 31, 33, 64),
                                          testing::Values(1, 15, 17, 32, 65),
                                          testing::Values(1, 16, 31, 33, 96)));

/// Several times the tokens that are packed at once, and a rest; several blocks of panels.
INSTANTIATE_TEST_SUITE_P(Long, TileProductShapes,
                         testing::Combine(testing::Values(512, 513, 1100), testing::Values(35),
                                          testing::Values(70)));
INSTANTIATE_TEST_SUITE_P(Wide, TileProductShapes,
                         testing::Values(std::tuple(40, 290, 33), std::tuple(40, 33, 290),
                                         std::tuple(40, 300, 530)));

TEST(TileProduct, AddsWholeNumbersExactly) {
  if (!has_bfloat16_tiles()) GTEST_SKIP() << kNoTiles;
  constexpr std::int64_t kTokens = 37;
  test::Matrix<float> left(kTokens, 50);
  test::Matrix<float> right(kTokens, 21);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    const float sign = t % 2 == 0 ? 1.0F : -1.0F;
    for (std::int64_t j = 0; j < 50; ++j) left(t, j) = sign * static_cast<float>(j + 1);
    for (std::int64_t k = 0; k < 21; ++k) right(t, k) = sign * static_cast<float>(k + 3);
  }
  const test::Bfloat16Matrix a(left, kTokens, 50);
  const test::Bfloat16Matrix b(right, kTokens, 21);
  const std::array<Bits, 2> parts{a.view(), a.view()};
  test::Matrix<float> product(50, 21, 1.0F);
  add_tile_product(parts, b.view(), product.view(), {});
  for (std::int64_t j = 0; j < 50; ++j) {
    for (std::int64_t k = 0; k < 21; ++k) {
      ASSERT_EQ(product(j, k), static_cast<float>(2 * kTokens * (j + 1) * (k + 3) + 1));
    }
  }
}

TEST(TileProduct, GivesTheSameBitsOnAnyNumberOfThreads) {
  if (!has_bfloat16_tiles()) GTEST_SKIP() << kNoTiles;
  const test::Bfloat16Matrix high = normal_bits(700, 300, 4);
  const test::Bfloat16Matrix low = normal_bits(700, 300, 5);
  const test::Bfloat16Matrix b = normal_bits(700, 170, 6);
  const std::array<Bits, 2> parts{high.view(), low.view()};
  test::Matrix<float> one(300, 170);
  test::Matrix<float> three(300, 170);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  add_tile_product(parts, b.view(), one.view(), {});
  add_tile_product(parts, b.view(), three.view(), threaded);
  for (std::int64_t j = 0; j < 300; ++j) {
    for (std::int64_t k = 0; k < 170; ++k) ASSERT_EQ(one(j, k), three(j, k));
  }
}

/// What fills up tiles meets no value but in sums that nobody keeps.
TEST(TileProduct, KeepsAnInfinityInItsRow) {
  if (!has_bfloat16_tiles()) GTEST_SKIP() << kNoTiles;
  test::Matrix<float> left(3, 17, 2.0F);
  left(1, 16) = std::numeric_limits<float>::infinity();
  const test::Bfloat16Matrix a(left, 3, 17);
  const test::Bfloat16Matrix b(test::Matrix<float>(3, 5, 2.0F), 3, 5);
  const std::array<Bits, 1> parts{a.view()};
  test::Matrix<float> product(17, 5);
  add_tile_product(parts, b.view(), product.view(), {});
  for (std::int64_t k = 0; k < 5; ++k) {
    for (std::int64_t j = 0; j < 16; ++j) ASSERT_EQ(product(j, k), 12.0F);
    ASSERT_TRUE(std::isinf(product(16, k)));
  }
}

TEST(TileProduct, OfNoTokensIsUnchanged) {
  if (!has_bfloat16_tiles()) GTEST_SKIP() << kNoTiles;
  const std::array<Bits, 1> parts{Bits{nullptr, 0, 2, 2}};
  test::Matrix<float> product(2, 3, 4.0F);
  add_tile_product(parts, {nullptr, 0, 3, 3}, product.view(), {});
  EXPECT_EQ(product(1, 2), 4.0F);
}

TEST(TileProduct, RefusesOtherShapesAndDevices) {
  const test::Bfloat16Matrix a = normal_bits(3, 2, 7);
  const test::Bfloat16Matrix b = normal_bits(3, 4, 8);
  const test::Bfloat16Matrix longer = normal_bits(4, 4, 9);
  const std::array<Bits, 1> parts{a.view()};
  test::Matrix<float> right(2, 4);
  test::Matrix<float> wrong(4, 2);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(add_tile_product(parts, b.view(), wrong.view(), {}), Error);
  EXPECT_THROW(add_tile_product(parts, longer.view(), right.view(), {}), Error);
  EXPECT_THROW(add_tile_product({}, b.view(), right.view(), {}), Error);
  EXPECT_THROW(add_tile_product(parts, b.view(), right.view(), device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
