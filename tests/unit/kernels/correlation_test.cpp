#include "sgpt_mi/kernels/correlation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "support/correlation_problem.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
namespace {

using test::CorrelationMaps;
using test::CorrelationProblem;
using test::Matrix;

/// Two channels with rho = 0.6 and means 1 and -2 over 10 tokens: sigma 2 and 0.5.
CorrelationProblem two_channels() {
  CorrelationProblem problem(2, 1);
  problem.tokens = 10;
  problem.mean = {1.0, -2.0};
  problem.inverse_deviation = {0.5, 2.0};
  problem.second_moment(0, 0) = 50.0F;                  // 10 (4 + 1)
  problem.second_moment(0, 1) = 10.0F * (0.6F - 2.0F);  // 10 (0.6 * 2 * 0.5 - 2)
  problem.second_moment(1, 1) = 42.5F;
  return problem;
}

TEST(Correlate, TwoChannelsByHand) {
  const CorrelationMaps maps = two_channels().run();
  for (const std::int64_t i : {0, 1}) {
    EXPECT_NEAR(maps.rho(i, 1 - i), 0.6F, 1e-6F);
    EXPECT_EQ(maps.rho(i, i), 1.0F);
    EXPECT_NEAR(maps.strength(i, 1 - i), 0.6F, 1e-6F);
    EXPECT_EQ(maps.strength(i, i), 0.0F);
    EXPECT_NEAR(maps.nats(i, 1 - i), -0.5F * std::log(0.64F), 1e-6F);
    EXPECT_EQ(maps.nats(i, i), 0.0F);
  }
}

TEST(Correlate, KeepsTheSignInRhoAlone) {
  CorrelationProblem problem = two_channels();
  problem.second_moment(0, 1) = 10.0F * (-0.6F - 2.0F);
  const CorrelationMaps maps = problem.run();
  EXPECT_NEAR(maps.rho(1, 0), -0.6F, 1e-6F);
  EXPECT_NEAR(maps.strength(1, 0), 0.6F, 1e-6F);
}

/// rho of i < j as its formula says, in the widest type, and the rounding that it may have.
void expect_pair(const CorrelationProblem& problem, const CorrelationMaps& maps, std::int64_t i,
                 std::int64_t j) {
  const auto a = static_cast<std::size_t>(i);
  const auto b = static_cast<std::size_t>(j);
  const long double covariance = static_cast<long double>(problem.second_moment(i, j)) /
                                     static_cast<long double>(problem.tokens) -
                                 static_cast<long double>(problem.mean[a]) * problem.mean[b];
  const long double exact =
      covariance * problem.inverse_deviation[a] * problem.inverse_deviation[b];
  const long double capped = std::fmin(std::fmax(exact, -problem.cap), problem.cap);
  // Float32 rounds once; float64's few roundings are of terms of about 1.
  ASSERT_NEAR(maps.rho(i, j), static_cast<double>(capped), 6e-8) << i << ", " << j;
  ASSERT_EQ(maps.rho(j, i), maps.rho(i, j));
  ASSERT_EQ(maps.strength(i, j), std::abs(maps.rho(i, j)));
  ASSERT_EQ(maps.strength(j, i), maps.strength(i, j));
  const double rho = maps.rho(i, j);
  const double nats = -0.5 * std::log1p(-rho * rho);
  ASSERT_NEAR(maps.nats(i, j), nats, 6.1e-8 * nats) << i << ", " << j;
  ASSERT_EQ(maps.nats(j, i), maps.nats(i, j));
}

TEST(Correlate, EveryPairFollowsTheFormula) {
  for (const std::int64_t channels : {1, 3, 63, 64, 65, 130}) {
    SCOPED_TRACE(channels);
    const CorrelationProblem problem(channels, static_cast<unsigned>(channels));
    const CorrelationMaps maps = problem.run();
    for (std::int64_t i = 0; i < channels; ++i) {
      ASSERT_EQ(maps.rho(i, i), i == 1 ? 0.0F : 1.0F);
      for (std::int64_t j = i + 1; j < channels; ++j) expect_pair(problem, maps, i, j);
    }
    EXPECT_TRUE(maps.rho.padding_is(CorrelationProblem::kGuard));
    EXPECT_TRUE(maps.strength.padding_is(CorrelationProblem::kGuard));
    EXPECT_TRUE(maps.nats.padding_is(CorrelationProblem::kGuard));
  }
}

/// Two channels of deviation 1 and mean 0 with this correlation.
double nats_of(double rho, double cap) {
  CorrelationProblem problem = two_channels();
  problem.tokens = 1;
  problem.cap = cap;
  problem.mean = {0.0, 0.0};
  problem.inverse_deviation = {1.0, 1.0};
  problem.second_moment(0, 1) = static_cast<float>(rho);
  return problem.run().nats(0, 1);
}

TEST(Correlate, NatsAreAccurateForEveryMagnitude) {
  for (double rho = 1e-18; rho < 1.0; rho *= 1.07) {
    const double rounded = static_cast<float>(rho);
    const double exact = -0.5 * std::log1p(-rounded * rounded);
    EXPECT_NEAR(nats_of(rho, 1.0 - 0x1p-23), exact, 6.1e-8 * exact) << rho;
  }
  for (int bit = 2; bit <= 23; ++bit) {
    const double rho = 1.0 - std::ldexp(1.0, -bit);
    const double exact = -0.5 * std::log1p(-rho * rho);
    EXPECT_NEAR(nats_of(1.5, rho), exact, 6.1e-8 * exact) << bit;
  }
  EXPECT_EQ(nats_of(0.0, 0.5), 0.0);
  EXPECT_TRUE(std::isnan(nats_of(std::numeric_limits<double>::quiet_NaN(), 0.5)));
}

TEST(Correlate, DoesNotDependOnThreads) {
  const CorrelationProblem problem(400, 3);
  Backend threaded;
  threaded.parallel_for = test::threaded_for(4);
  const CorrelationMaps one = problem.run();
  const CorrelationMaps four = problem.run(threaded);
  for (std::int64_t i = 0; i < 400; ++i) {
    for (std::int64_t j = 0; j < 400; ++j) ASSERT_EQ(one.rho(i, j), four.rho(i, j));
  }
}

TEST(Correlate, RefusesShapesAndCapsOutOfRange) {
  CorrelationProblem problem(4, 1);
  problem.cap = 1.0;  // infinite information
  EXPECT_THROW(static_cast<void>(problem.run()), Error);
  problem.cap = 0.0;
  EXPECT_THROW(static_cast<void>(problem.run()), Error);
  const std::vector<double> sums(4);
  Matrix<float> square(4, 4);
  Matrix<float> smaller(3, 4);
  CorrelationMap map;
  map.second_moment_sum = square.const_view();
  map.mean = map.inverse_deviation = sums.data();
  map.rho = smaller.view();
  EXPECT_THROW(correlate(map, {}), Error);
}

}  // namespace
}  // namespace sgpt_mi::kernels
