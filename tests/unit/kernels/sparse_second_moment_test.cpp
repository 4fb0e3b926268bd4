#include "sgpt_mi/kernels/sparse_second_moment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
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
  Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  add_sparse_second_moment(x.const_view(), one.view(), {});
  add_sparse_second_moment(x.const_view(), three.view(), threaded);
  for (std::int64_t j = 0; j < 500; ++j) {
    for (std::int64_t k = 0; k < 500; ++k) ASSERT_EQ(one(j, k), three(j, k));
  }
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
  Backend device;
  device.cuda = true;
  test::Matrix<float> right(2, 2);
  EXPECT_THROW(add_sparse_second_moment(x.const_view(), right.view(), device), Error);
}

}  // namespace
}  // namespace sgpt_mi::kernels
