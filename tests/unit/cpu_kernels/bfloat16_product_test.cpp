#include "sgpt_mi/cpu_kernels/bfloat16_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "cpu_kernels/bfloat16_sets.h"
#include "moment_examples.h"
#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

test::Bfloat16Matrix normal_bits(std::int64_t tokens, std::int64_t columns, unsigned seed) {
  return test::Bfloat16Matrix(test::normal_matrix(tokens, columns, seed), tokens, columns);
}

/// Every value of `product`, which started at 1, within what float32 sums may be off.
void expect_product(const test::Matrix<float>& a, const test::Matrix<float>& b,
                    const test::Matrix<float>& product) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  for (std::int64_t j = 0; j < product.rows(); ++j) {
    for (std::int64_t k = 0; k < product.columns(); ++k) {
      double exact = 1.0;
      double magnitude = 1.0;
      for (std::int64_t t = 0; t < b.rows(); ++t) {
        const double value = static_cast<double>(a(t, j)) * b(t, k);
        exact += value;
        magnitude += std::fabs(value);
      }
      ASSERT_NEAR(product(j, k), exact, static_cast<double>(b.rows()) * kEpsilon * magnitude)
          << j << ", " << k;
    }
  }
}

class Bfloat16Product : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    set_ = test::set_of(GetParam());
    if (set_.add_product == nullptr) GTEST_SKIP() << test::reason_without(GetParam());
  }
  Bfloat16Set set_;
};

TEST_P(Bfloat16Product, AddsWholeNumbersExactly) {
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
  test::Matrix<float> product(50, 21, 1.0F);
  set_.add_product(a.view(), b.view(), product.view(), {});
  for (std::int64_t j = 0; j < 50; ++j) {
    for (std::int64_t k = 0; k < 21; ++k) {
      ASSERT_EQ(product(j, k), static_cast<float>(kTokens * (j + 1) * (k + 3) + 1));
    }
  }
}

TEST_P(Bfloat16Product, OfAMatrixWithItselfIsWhole) {
  const test::Bfloat16Matrix x = normal_bits(40, 70, 7);
  test::Matrix<float> product(70, 70, 1.0F);
  set_.add_product(x.view(), x.view(), product.view(), {});
  expect_product(x.values, x.values, product);
}

TEST_P(Bfloat16Product, GivesTheSameBitsOnAnyNumberOfThreads) {
  const test::Bfloat16Matrix a = normal_bits(700, 300, 4);
  const test::Bfloat16Matrix b = normal_bits(700, 170, 6);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  test::Matrix<float> one(300, 170);
  test::Matrix<float> three(300, 170);
  set_.add_product(a.view(), b.view(), one.view(), {});
  set_.add_product(a.view(), b.view(), three.view(), threaded);
  for (std::int64_t j = 0; j < 300; ++j) {
    for (std::int64_t k = 0; k < 170; ++k) ASSERT_EQ(one(j, k), three(j, k));
  }
}

/// What fills up panels meets no value but in sums that nobody keeps.
TEST_P(Bfloat16Product, KeepsAnInfinityInItsRow) {
  test::Matrix<float> left(3, 17, 2.0F);
  left(1, 16) = std::numeric_limits<float>::infinity();
  const test::Bfloat16Matrix a(left, 3, 17);
  const test::Bfloat16Matrix b(test::Matrix<float>(3, 5, 2.0F), 3, 5);
  test::Matrix<float> product(17, 5);
  set_.add_product(a.view(), b.view(), product.view(), {});
  for (std::int64_t k = 0; k < 5; ++k) {
    for (std::int64_t j = 0; j < 16; ++j) ASSERT_EQ(product(j, k), 12.0F);
    ASSERT_TRUE(std::isinf(product(16, k)));
  }
}

const auto kSets = testing::Values("AMX_BF16", "AVX512_BF16");

INSTANTIATE_TEST_SUITE_P(All, Bfloat16Product, kSets, [](const auto& set) { return set.param; });

/// Name, tokens, columns of a, columns of b.
class Bfloat16ProductShapes
    : public testing::TestWithParam<
          std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t>> {};

TEST_P(Bfloat16ProductShapes, EqualTheExactSums) {
  const auto [name, tokens, rows, columns] = GetParam();
  const Bfloat16Set set = test::set_of(name);
  if (set.add_product == nullptr) GTEST_SKIP() << test::reason_without(name);
  const test::Bfloat16Matrix a = normal_bits(tokens, rows, 1);
  const test::Bfloat16Matrix b = normal_bits(tokens, columns, 3);
  test::Matrix<float> product(rows, columns, 1.0F, 3);
  set.add_product(a.view(), b.view(), product.view(), {});
  expect_product(a.values, b.values, product);
  EXPECT_TRUE(product.padding_is(1.0F));
}

INSTANTIATE_TEST_SUITE_P(Edges, Bfloat16ProductShapes,
                         testing::Combine(kSets, testing::Values(1, 2, 31, 33),
                                          testing::Values(1, 17, 48, 65),
                                          testing::Values(1, 31, 49, 96)));

/// Several times the tokens that are packed at once, and a rest; several blocks of panels.
INSTANTIATE_TEST_SUITE_P(Long, Bfloat16ProductShapes,
                         testing::Combine(kSets, testing::Values(512, 513, 1100),
                                          testing::Values(35), testing::Values(70)));
INSTANTIATE_TEST_SUITE_P(Wide, Bfloat16ProductShapes,
                         testing::Combine(kSets, testing::Values(40), testing::Values(33, 300),
                                          testing::Values(290, 530)));

/// add_bfloat16_product() itself, by the fastest set.
class AnyBfloat16Product : public testing::Test {
 protected:
  void SetUp() override {
    if (!multiplies_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  }
};

TEST_F(AnyBfloat16Product, IsTheProduct) {
  const test::Bfloat16Matrix a = normal_bits(9, 50, 1);
  const test::Bfloat16Matrix b = normal_bits(9, 21, 2);
  test::Matrix<float> product(50, 21, 1.0F);
  add_bfloat16_product(a.view(), b.view(), product.view(), {});
  expect_product(a.values, b.values, product);
}

TEST_F(AnyBfloat16Product, OfNoTokensIsUnchanged) {
  test::Matrix<float> product(2, 3, 4.0F);
  add_bfloat16_product({nullptr, 0, 2, 2}, {nullptr, 0, 3, 3}, product.view(), {});
  EXPECT_EQ(product(1, 2), 4.0F);
}

TEST_F(AnyBfloat16Product, RefusesOtherShapesAndDevices) {
  const test::Bfloat16Matrix a = normal_bits(3, 2, 7);
  const test::Bfloat16Matrix b = normal_bits(3, 4, 8);
  const test::Bfloat16Matrix longer = normal_bits(4, 4, 9);
  test::Matrix<float> right(2, 4);
  test::Matrix<float> wrong(4, 2);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_NO_THROW(add_bfloat16_product(a.view(), b.view(), right.view(), {}));
  EXPECT_THROW(add_bfloat16_product(a.view(), b.view(), wrong.view(), {}), Error);
  EXPECT_THROW(add_bfloat16_product(a.view(), longer.view(), right.view(), {}), Error);
  EXPECT_THROW(add_bfloat16_product(a.view(), b.view(), right.view(), device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
