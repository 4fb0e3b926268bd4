#include "sgpt_mi/cpu_kernels/channel_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/half.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

struct Figures {
  explicit Figures(std::int64_t channels)
      : sum(static_cast<std::size_t>(channels)), abs_sum(sum.size()), abs_max(sum.size()) {}

  ChannelScan add(const test::Matrix<float>& x, const kernels::Backend& backend = {}) {
    return add_channel_sums(x.const_view(), {sum.data(), abs_sum.data(), abs_max.data()}, backend);
  }

  std::vector<double> sum;
  std::vector<double> abs_sum;
  std::vector<float> abs_max;
};

TEST(ChannelSums, TwoTokensByHand) {
  test::Matrix<float> x(2, 3, 0.0F, 2);
  x(0, 0) = 3.0F;
  x(0, 1) = -2.0F;
  x(1, 1) = 1.5F;
  Figures figures(3);
  const ChannelScan scan = figures.add(x);
  EXPECT_TRUE(scan.finite);
  EXPECT_EQ(scan.nonzeros, 3);
  EXPECT_EQ(figures.sum, (std::vector<double>{3.0, -0.5, 0.0}));
  EXPECT_EQ(figures.abs_sum, (std::vector<double>{3.0, 3.5, 0.0}));
  EXPECT_EQ(figures.abs_max, (std::vector<float>{3.0F, 2.0F, 0.0F}));
}

TEST(ChannelSums, BatchesAddUp) {
  Figures figures(1);
  EXPECT_TRUE(figures.add(test::Matrix<float>(300, 1, -2.0F)).finite);
  EXPECT_EQ(figures.add(test::Matrix<float>(9, 1, 1.0F)).nonzeros, 9);
  EXPECT_EQ(figures.sum[0], -591.0);
  EXPECT_EQ(figures.abs_sum[0], 609.0);
  EXPECT_EQ(figures.abs_max[0], 2.0F);
}

TEST(ChannelSums, StaysWithinItsBoundOverManyTokens) {
  constexpr std::int64_t kTokens = 1003;  // not a multiple of anything inside
  const test::Matrix<float> x = test::normal_matrix(kTokens, 37, 5);
  Figures figures(37);
  EXPECT_EQ(figures.add(x).nonzeros, kTokens * 37);
  for (std::int64_t j = 0; j < 37; ++j) {
    double sum = 0.0;
    double abs_sum = 0.0;
    float most = 0.0F;
    for (std::int64_t t = 0; t < kTokens; ++t) {
      sum += x(t, j);
      abs_sum += std::fabs(x(t, j));
      most = std::max(most, std::fabs(x(t, j)));
    }
    const auto at = static_cast<std::size_t>(j);
    const double bound = 7.0 * 0x1p-24 * abs_sum;
    EXPECT_NEAR(figures.sum[at], sum, bound);
    EXPECT_NEAR(figures.abs_sum[at], abs_sum, bound);
    EXPECT_EQ(figures.abs_max[at], most);
  }
}

TEST(ChannelSums, SeesEveryValueThatIsNotFinite) {
  for (const std::int64_t token : {0, 7, 8, 299, 300}) {
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      test::Matrix<float> x(301, 5, 1.0F);
      x(token, 4) = value;
      EXPECT_FALSE(Figures(5).add(x).finite) << value << " at token " << token;
    }
  }
}

TEST(ChannelSums, SeesSumsBeyondFloat32) {
  EXPECT_FALSE(Figures(1).add(test::Matrix<float>(4, 1, 2e38F)).finite);
}

TEST(ChannelSums, GivesTheSameBitsOnAnyNumberOfThreads) {
  const test::Matrix<float> x = test::normal_matrix(1500, 20, 9);
  Figures one(20);
  Figures three(20);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  EXPECT_EQ(one.add(x).nonzeros, three.add(x, threaded).nonzeros);
  EXPECT_EQ(one.sum, three.sum);
  EXPECT_EQ(one.abs_sum, three.abs_sum);
  EXPECT_EQ(one.abs_max, three.abs_max);
}

TEST(ChannelSums, OfBfloat16AreThoseOfItsValues) {
  constexpr std::int64_t kTokens = 517;  // the last group of eight is not full
  test::Matrix<std::uint16_t> bits(kTokens, 21, 0, 24);
  test::Matrix<float> x = test::normal_matrix(kTokens, 21, 10);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t j = 0; j < 21; ++j) {
      bits(t, j) = (t + j) % 5 == 0 ? 0 : kernels::float_to_bfloat16(x(t, j));
      x(t, j) = kernels::bfloat16_to_float(bits(t, j));
    }
  }
  Figures of_values(21);
  Figures of_bits(21);
  const ChannelScan scan = add_channel_sums(
      bits.const_view(), {of_bits.sum.data(), of_bits.abs_sum.data(), of_bits.abs_max.data()}, {});
  EXPECT_EQ(scan.nonzeros, of_values.add(x).nonzeros);
  EXPECT_TRUE(scan.finite);
  EXPECT_EQ(of_bits.sum, of_values.sum);
  EXPECT_EQ(of_bits.abs_sum, of_values.abs_sum);
  EXPECT_EQ(of_bits.abs_max, of_values.abs_max);
  bits(516, 20) = 0x7f80;  // infinity
  EXPECT_FALSE(
      add_channel_sums(bits.const_view(),
                       {of_bits.sum.data(), of_bits.abs_sum.data(), of_bits.abs_max.data()}, {})
          .finite);
}

TEST(ChannelSums, OfNoTokensAreFiniteAndUnchanged) {
  Figures figures(3);
  const ChannelScan scan = figures.add(test::Matrix<float>(0, 3));
  EXPECT_TRUE(scan.finite);
  EXPECT_EQ(scan.nonzeros, 0);
}

TEST(ChannelSums, RefusesMissingArraysAndDevices) {
  const test::Matrix<float> x(1, 1);
  EXPECT_THROW((void)add_channel_sums(x.const_view(), {}, {}), Error);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(Figures(1).add(x, device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
