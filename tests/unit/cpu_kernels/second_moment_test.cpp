#include "sgpt_mi/cpu_kernels/second_moment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cpu_kernels/moment_tile.h"
#include "moment_examples.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/bfloat16_product.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

constexpr float kEpsilon = std::numeric_limits<float>::epsilon();

struct Shape {
  std::int64_t tokens;
  std::int64_t channels;
};

/// Tokens of part of a block, of one and of several; channels of part of a panel, of one and more.
class SecondMomentShapes : public testing::TestWithParam<Shape> {};

TEST_P(SecondMomentShapes, EqualTheExactSums) {
  const auto [tokens, channels] = GetParam();
  const test::Matrix<float> x = test::normal_matrix(tokens, channels, 5);
  test::Matrix<float> moment(channels, channels, 0.0F, 3);
  add_second_moment(x.const_view(), moment.view(), {});
  test::expect_second_moment(x, tokens, channels, moment);
  EXPECT_TRUE(moment.padding_is(0.0F));
}

TEST_P(SecondMomentShapes, EqualTheExactSumsOfBfloat16) {
  if (!multiplies_bfloat16()) GTEST_SKIP() << "this processor does not multiply bfloat16";
  const auto [tokens, channels] = GetParam();
  const test::Bfloat16Matrix x(test::normal_matrix(tokens, channels, 6), tokens, channels);
  test::Matrix<float> moment(channels, channels, 0.0F, 3);
  add_second_moment(x.view(), moment.view(), {});
  test::expect_second_moment(x.values, tokens, channels, moment);
  EXPECT_TRUE(moment.padding_is(0.0F));
}

INSTANTIATE_TEST_SUITE_P(All, SecondMomentShapes,
                         testing::Values(Shape{1, 1}, Shape{2, 47}, Shape{255, 48}, Shape{256, 49},
                                         Shape{257, 96}, Shape{512, 50}, Shape{513, 20},
                                         Shape{1100, 131}));

/// All instruction sets of this machine against each other, on one tile of each.
TEST(MomentTile, EveryInstructionSetAddsTheSameProducts) {
  constexpr std::int64_t kSteps = 37;
  alignas(64) float panel[kSteps * kMomentColumns];
  const test::Matrix<float> x = test::normal_matrix(kSteps, kMomentColumns, 8);
  for (std::int64_t t = 0; t < kSteps; ++t) {
    for (std::int64_t j = 0; j < kMomentColumns; ++j) panel[t * kMomentColumns + j] = x(t, j);
  }
  const auto* words = reinterpret_cast<const std::uint32_t*>(panel);
  for (const MomentKernel& kernel : moment_kernels()) {
    for (std::int64_t first = 0; first < kMomentColumns; first += kernel.rows) {
      test::Matrix<float> sums(kernel.rows, kMomentColumns, 1.0F);
      kernel.add({words + first, words, kSteps, sums.view().data, sums.view().stride});
      for (std::int64_t r = 0; r < kernel.rows; ++r) {
        for (std::int64_t k = 0; k < kMomentColumns; ++k) {
          double exact = 1.0;
          double magnitude = 1.0;
          for (std::int64_t t = 0; t < kSteps; ++t) {
            exact += static_cast<double>(x(t, first + r)) * x(t, k);
            magnitude += std::fabs(x(t, first + r) * x(t, k));
          }
          ASSERT_NEAR(sums(r, k), exact, kSteps * kEpsilon * magnitude) << kernel.rows;
        }
      }
    }
  }
}

TEST(SecondMoment, AddsToWhatIsThere) {
  test::Matrix<float> x(1, 2);
  x(0, 0) = 2.0F;
  x(0, 1) = -3.0F;
  test::Matrix<float> moment(2, 2, 1.0F);
  add_second_moment(x.const_view(), moment.view(), {});
  EXPECT_EQ(moment(0, 0), 5.0F);
  EXPECT_EQ(moment(0, 1), -5.0F);
  EXPECT_EQ(moment(1, 1), 10.0F);
}

TEST(SecondMoment, GivesTheSameBitsOnAnyNumberOfThreads) {
  const test::Matrix<float> x = test::normal_matrix(700, 200, 7);
  test::Matrix<float> one(200, 200);
  test::Matrix<float> three(200, 200);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  add_second_moment(x.const_view(), one.view(), {});
  add_second_moment(x.const_view(), three.view(), threaded);
  for (std::int64_t j = 0; j < 200; ++j) {
    for (std::int64_t k = j; k < 200; ++k) ASSERT_EQ(one(j, k), three(j, k));
  }
}

TEST(SecondMoment, OfNoTokensIsUnchanged) {
  test::Matrix<float> moment(2, 2, 4.0F);
  add_second_moment(test::Matrix<float>(0, 2).const_view(), moment.view(), {});
  EXPECT_EQ(moment(0, 1), 4.0F);
}

TEST(SecondMoment, RefusesOtherShapesAndDevices) {
  const test::Matrix<float> x(3, 2);
  test::Matrix<float> wrong(3, 3);
  EXPECT_THROW(add_second_moment(x.const_view(), wrong.view(), {}), Error);
  kernels::Backend device;
  device.cuda = true;
  test::Matrix<float> right(2, 2);
  EXPECT_THROW(add_second_moment(x.const_view(), right.view(), device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
