#include "sgpt_mi/cpu_kernels/sparse_second_moment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// Normal values of which those below `threshold` are zero, as after a ReLU with a bias.
test::Matrix<float> sparse_inputs(std::int64_t tokens, std::int64_t channels, float threshold) {
  test::Matrix<float> x = test::normal_matrix(tokens, channels, 3);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t j = 0; j < channels; ++j) {
      if (x(t, j) < threshold) x(t, j) = 0.0F;
    }
  }
  return x;
}

TEST(SparseSecondMoment, OneTokenByHand) {
  test::Matrix<float> x(1, 3);
  x(0, 0) = 2.0F;
  x(0, 2) = -3.0F;
  test::Matrix<float> moment(3, 3, 1.0F, 2);
  add_sparse_second_moment(x.const_view(), moment.view(), {});
  EXPECT_EQ(moment(0, 0), 5.0F);
  EXPECT_EQ(moment(0, 1), 1.0F);
  EXPECT_EQ(moment(0, 2), -5.0F);
  EXPECT_EQ(moment(1, 1), 1.0F);
  EXPECT_EQ(moment(2, 2), 10.0F);
  EXPECT_EQ(moment(2, 0), 1.0F) << "below the diagonal";
  EXPECT_TRUE(moment.padding_is(1.0F));
}

TEST(SparseSecondMoment, EqualsTheDenseProductOverSeveralBlocks) {
  constexpr std::int64_t kTokens = 150;
  constexpr std::int64_t kChannels = 700;  // several blocks of rows
  const test::Matrix<float> x = sparse_inputs(kTokens, kChannels, 1.0F);
  test::Matrix<float> moment(kChannels, kChannels);
  add_sparse_second_moment(x.const_view(), moment.view(), {});
  for (std::int64_t j = 0; j < kChannels; ++j) {
    for (std::int64_t k = j; k < kChannels; ++k) {
      double exact = 0.0;
      for (std::int64_t t = 0; t < kTokens; ++t) exact += static_cast<double>(x(t, j)) * x(t, k);
      // All products are positive: each of T sums rounds by at most half an epsilon of the whole.
      const double bound = kTokens * std::numeric_limits<float>::epsilon() * exact;
      ASSERT_NEAR(moment(j, k), exact, bound) << j << ", " << k;
    }
  }
}

TEST(SparseSecondMoment, GivesTheSameBitsOnAnyNumberOfThreads) {
  const test::Matrix<float> x = sparse_inputs(300, 500, 0.5F);
  test::Matrix<float> one(500, 500);
  test::Matrix<float> three(500, 500);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  add_sparse_second_moment(x.const_view(), one.view(), {});
  add_sparse_second_moment(x.const_view(), three.view(), threaded);
  for (std::int64_t j = 0; j < 500; ++j) {
    for (std::int64_t k = 0; k < 500; ++k) ASSERT_EQ(one(j, k), three(j, k));
  }
}

TEST(SparseProduct, TwoTokensByHand) {
  test::Matrix<float> x(2, 2);
  test::Matrix<float> y(2, 3);
  x(0, 0) = 2.0F;
  y(0, 0) = 5.0F;
  y(0, 2) = -3.0F;
  x(1, 1) = 7.0F;
  y(1, 0) = -1.0F;
  test::Matrix<float> product(2, 3, 1.0F, 2);
  add_sparse_product(x.const_view(), y.const_view(), product.view(), {});
  EXPECT_EQ(product(0, 0), 11.0F);
  EXPECT_EQ(product(0, 1), 1.0F);
  EXPECT_EQ(product(0, 2), -5.0F);
  EXPECT_EQ(product(1, 0), -6.0F) << "below the diagonal";
  EXPECT_EQ(product(1, 1), 1.0F);
  EXPECT_EQ(product(1, 2), 1.0F);
  EXPECT_TRUE(product.padding_is(1.0F));
}

TEST(SparseProduct, EqualsTheDenseProductOnAnyNumberOfThreads) {
  constexpr std::int64_t kTokens = 90;
  constexpr std::int64_t kLeft = 300;  // several blocks of rows
  constexpr std::int64_t kRight = 500;
  const test::Matrix<float> x = sparse_inputs(kTokens, kLeft, 1.0F);
  const test::Matrix<float> y = sparse_inputs(kTokens, kRight, 0.7F);
  test::Matrix<float> product(kLeft, kRight);
  test::Matrix<float> three(kLeft, kRight);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  add_sparse_product(x.const_view(), y.const_view(), product.view(), {});
  add_sparse_product(x.const_view(), y.const_view(), three.view(), threaded);
  for (std::int64_t j = 0; j < kLeft; ++j) {
    for (std::int64_t k = 0; k < kRight; ++k) {
      double exact = 0.0;
      for (std::int64_t t = 0; t < kTokens; ++t) exact += static_cast<double>(x(t, j)) * y(t, k);
      // All products are positive: each of T sums rounds by at most half an epsilon of the whole.
      const double bound = kTokens * std::numeric_limits<float>::epsilon() * exact;
      ASSERT_NEAR(product(j, k), exact, bound) << j << ", " << k;
      ASSERT_EQ(product(j, k), three(j, k));
    }
  }
}

TEST(SparseProduct, RefusesOtherShapesAndDevices) {
  const test::Matrix<float> x(3, 2);
  const test::Matrix<float> y(3, 4);
  test::Matrix<float> product(2, 4);
  test::Matrix<float> wrong(4, 2);
  EXPECT_THROW(add_sparse_product(x.const_view(), y.const_view(), wrong.view(), {}), Error);
  const test::Matrix<float> short_y(2, 4);
  EXPECT_THROW(add_sparse_product(x.const_view(), short_y.const_view(), product.view(), {}), Error);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(add_sparse_product(x.const_view(), y.const_view(), product.view(), device), Error);
}

TEST(SparseSecondMoment, OfZerosAndOfNoTokensIsUnchanged) {
  test::Matrix<float> moment(2, 2, 4.0F);
  add_sparse_second_moment(test::Matrix<float>(3, 2).const_view(), moment.view(), {});
  add_sparse_second_moment(test::Matrix<float>(0, 2).const_view(), moment.view(), {});
  EXPECT_EQ(moment(0, 0), 4.0F);
  EXPECT_EQ(moment(0, 1), 4.0F);
}

TEST(SparseSecondMoment, RefusesOtherShapesAndDevices) {
  const test::Matrix<float> x(3, 2);
  test::Matrix<float> moment(3, 3);
  EXPECT_THROW(add_sparse_second_moment(x.const_view(), moment.view(), {}), Error);
  kernels::Backend device;
  device.cuda = true;
  test::Matrix<float> right(2, 2);
  EXPECT_THROW(add_sparse_second_moment(x.const_view(), right.view(), device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
