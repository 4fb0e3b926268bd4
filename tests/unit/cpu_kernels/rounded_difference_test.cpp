#include "sgpt_mi/cpu_kernels/rounded_difference.h"

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

/// A difference and its figures.
struct Difference {
  Difference(const test::Bfloat16Matrix& a, const test::Bfloat16Matrix& b,
             const kernels::Backend& backend = {})
      : rounded(a.bits.size()),
        scan(rounded_difference(a.view(), b.view(),
                                {rounded.data(), a.view().rows, a.view().columns, a.view().columns},
                                backend)) {}

  std::vector<std::uint16_t> rounded;
  DifferenceScan scan;
};

Difference of_values(float a, float b) {
  return {test::Bfloat16Matrix(test::Matrix<float>(1, 1, a), 1, 1),
          test::Bfloat16Matrix(test::Matrix<float>(1, 1, b), 1, 1)};
}

TEST(RoundedDifference, ByHand) {
  // 257 - 2^-8 needs 17 bits: the nearest bfloat16 is 256.
  const Difference difference = of_values(256.0F, -0.99609375F);
  EXPECT_EQ(kernels::bfloat16_to_float(difference.rounded[0]), 256.0F);
  EXPECT_EQ(difference.scan.abs_sum, 256.99609375);
  EXPECT_EQ(difference.scan.nonzeros, 1);
  EXPECT_TRUE(difference.scan.finite);
}

TEST(RoundedDifference, IsTheNearestBfloat16) {
  constexpr std::int64_t kTokens = 75;  // two blocks and a rest
  constexpr std::int64_t kChannels = 37;
  const test::Bfloat16Matrix a(test::normal_matrix(kTokens, kChannels, 1), kTokens, kChannels);
  const test::Bfloat16Matrix b(test::normal_matrix(kTokens, kChannels, 2), kTokens, kChannels);
  const Difference difference(a, b);
  double abs_sum = 0.0;
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t j = 0; j < kChannels; ++j) {
      const double exact = static_cast<double>(a.values(t, j)) - b.values(t, j);
      const auto i = static_cast<std::size_t>(t * kChannels + j);
      ASSERT_NEAR(kernels::bfloat16_to_float(difference.rounded[i]), exact,
                  0x1p-8 * std::fabs(exact));
      abs_sum += std::fabs(exact);
    }
  }
  EXPECT_NEAR(difference.scan.abs_sum, abs_sum, 32 * 0x1p-24 * abs_sum);
  EXPECT_TRUE(difference.scan.finite);
}

TEST(RoundedDifference, CountsWhatIsNotZero) {
  test::Matrix<float> a(70, 33, 1.5F);
  const test::Bfloat16Matrix b(a, 70, 33);
  EXPECT_EQ(Difference(b, b).scan.nonzeros, 0);
  a(0, 0) = 1.0F;
  a(33, 32) = 0.0F;
  a(69, 16) = -1.5F;
  const Difference difference(test::Bfloat16Matrix(a, 70, 33), b);
  EXPECT_EQ(difference.scan.nonzeros, 3);
  EXPECT_EQ(difference.scan.abs_sum, 5.0);
}

TEST(RoundedDifference, SeesWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLargest = 0x1.fep127F;  // of bfloat16
  EXPECT_FALSE(of_values(std::numeric_limits<float>::quiet_NaN(), 0.0F).scan.finite);
  EXPECT_FALSE(of_values(1.0F, kInfinity).scan.finite);
  EXPECT_FALSE(of_values(kLargest, -kLargest).scan.finite);
  EXPECT_FALSE(of_values(kLargest, -0x1p119F).scan.finite) << "a float32, but no bfloat16";
  EXPECT_TRUE(of_values(kLargest, -0x1p118F).scan.finite);
}

TEST(RoundedDifference, GivesTheSameBitsOnAnyNumberOfThreads) {
  const test::Bfloat16Matrix a(test::normal_matrix(200, 45, 3), 200, 45);
  const test::Bfloat16Matrix b(test::normal_matrix(200, 45, 4), 200, 45);
  kernels::Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  const Difference one(a, b);
  const Difference three(a, b, threaded);
  EXPECT_EQ(one.rounded, three.rounded);
  EXPECT_EQ(one.scan.abs_sum, three.scan.abs_sum);
  EXPECT_EQ(one.scan.nonzeros, three.scan.nonzeros);
}

TEST(RoundedDifference, RefusesOtherShapesAndDevices) {
  const test::Bfloat16Matrix a(test::Matrix<float>(2, 3), 2, 3);
  const test::Bfloat16Matrix b(test::Matrix<float>(3, 2), 3, 2);
  EXPECT_THROW(Difference(a, b), Error);
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(Difference(a, a, device), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
