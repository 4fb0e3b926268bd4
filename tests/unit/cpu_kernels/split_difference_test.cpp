#include "sgpt_mi/cpu_kernels/split_difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "moment_examples.h"
#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

/// The parts of a difference and its figures.
struct Split {
  Split(const test::Bfloat16Matrix& a, const test::Bfloat16Matrix& b,
        const kernels::Backend& backend = {})
      : rows(a.view().rows),
        columns(a.view().columns),
        high(a.bits.size()),
        low(a.bits.size()),
        scan(split_difference(a.view(), b.view(), {high.data(), rows, columns, columns},
                              {low.data(), rows, columns, columns}, backend)) {}

  std::int64_t rows;
  std::int64_t columns;
  std::vector<std::uint16_t> high;
  std::vector<std::uint16_t> low;
  DifferenceScan scan;
};

Split split_values(float a, float b) {
  return {test::Bfloat16Matrix(test::Matrix<float>(1, 1, a), 1, 1),
          test::Bfloat16Matrix(test::Matrix<float>(1, 1, b), 1, 1)};
}

TEST(SplitDifference, PartsByHand) {
  // 257 - 2^-8 needs 17 bits: the nearest bfloat16 is 256, and 1 - 2^-8 has 8 bits.
  const Split split = split_values(256.0F, -0.99609375F);
  EXPECT_EQ(kernels::bfloat16_to_float(split.high[0]), 256.0F);
  EXPECT_EQ(kernels::bfloat16_to_float(split.low[0]), 0.99609375F);
  EXPECT_EQ(split.scan.abs_sum, 256.99609375);
  EXPECT_EQ(split.scan.nonzeros, 1);
  EXPECT_TRUE(split.scan.finite);
}

TEST(SplitDifference, PartsKeepSixteenBits) {
  constexpr std::int64_t kTokens = 75;  // two blocks and a rest
  constexpr std::int64_t kChannels = 37;
  const test::Bfloat16Matrix a(test::normal_matrix(kTokens, kChannels, 1), kTokens, kChannels);
  const test::Bfloat16Matrix b(test::normal_matrix(kTokens, kChannels, 2), kTokens, kChannels);
  const Split split(a, b);
  double abs_sum = 0.0;
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t j = 0; j < kChannels; ++j) {
      const double exact = static_cast<double>(a.values(t, j)) - b.values(t, j);
      const auto i = static_cast<std::size_t>(t * kChannels + j);
      const double sum = static_cast<double>(kernels::bfloat16_to_float(split.high[i])) +
                         kernels::bfloat16_to_float(split.low[i]);
      ASSERT_NEAR(sum, exact, 0x1p-16 * std::fabs(exact));
      abs_sum += std::fabs(exact);
    }
  }
  EXPECT_NEAR(split.scan.abs_sum, abs_sum, 32 * 0x1p-24 * abs_sum);
  EXPECT_TRUE(split.scan.finite);
}

TEST(SplitDifference, CountsWhatIsNotZero) {
  test::Matrix<float> a(70, 33, 1.5F);
  const test::Bfloat16Matrix b(a, 70, 33);
  EXPECT_EQ(Split(b, b).scan.nonzeros, 0);
  a(0, 0) = 1.0F;
  a(33, 32) = 0.0F;
  a(69, 16) = -1.5F;
  const Split split(test::Bfloat16Matrix(a, 70, 33), b);
  EXPECT_EQ(split.scan.nonzeros, 3);
  EXPECT_EQ(split.scan.abs_sum, 5.0);
}

TEST(SplitDifference, SeesWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLargest = 0x1.fep127F;  // of bfloat16
  EXPECT_FALSE(split_values(std::numeric_limits<float>::quiet_NaN(), 0.0F).scan.finite);
  EXPECT_FALSE(split_values(1.0F, kInfinity).scan.finite);
  EXPECT_FALSE(split_values(kLargest, -kLargest).scan.finite);
  EXPECT_FALSE(split_values(kLargest, -0x1p119F).scan.finite) << "a float32, but no bfloat16";
  EXPECT_TRUE(split_values(kLargest, -0x1p118F).scan.finite);
}

TEST(SplitDifference, GivesTheSameBitsOnAnyNumberOfThreads) {
  const test::Bfloat16Matrix a(test::normal_matrix(200, 45, 3), 200, 45);
  const test::Bfloat16Matrix b(test::normal_matrix(200, 45, 4), 200, 45);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  const Split one(a, b);
  const Split three(a, b, threaded);
  EXPECT_EQ(one.high, three.high);
  EXPECT_EQ(one.low, three.low);
  EXPECT_EQ(one.scan.abs_sum, three.scan.abs_sum);
  EXPECT_EQ(one.scan.nonzeros, three.scan.nonzeros);
}

TEST(SplitDifference, RefusesOtherShapesAndDevices) {
  const test::Bfloat16Matrix a(test::Matrix<float>(2, 3), 2, 3);
  const test::Bfloat16Matrix b(test::Matrix<float>(3, 2), 3, 2);
  EXPECT_THROW(Split(a, b), Error);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(Split(a, a, device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
