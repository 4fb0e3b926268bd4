#include "sgpt_mi/mi/gaussian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "samples.h"
#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::mi {
namespace {

using sgpt_mi::test::error_of;
using test::columns;
using test::gaussian_of;
using test::mean_between_pairs;
using test::mean_of_pairs;
using test::normal_nats;
using test::normal_pairs;
using test::Sums;
using test::sums_of;

constexpr double kFloatEpsilon = std::numeric_limits<float>::epsilon();

constexpr bool kWithNats = true;

/// Statistics whose correlation is exactly rho: T = 100, means 3 and -1, deviations 2 and 5.
Sums exact_sums(double rho) {
  constexpr double kTokens = 100.0;
  Sums sums;
  sums.channel = at::tensor({3.0 * kTokens, -1.0 * kTokens}, torch::kFloat64);
  const double cross = rho * 2.0 * 5.0 - 3.0;
  sums.second_moment = at::tensor({4.0 + 9.0, cross, cross, 25.0 + 1.0}, torch::kFloat64)
                           .mul_(kTokens)
                           .reshape({2, 2})
                           .to(torch::kFloat32);
  sums.tokens = 100;
  return sums;
}

TEST(GaussianMi, ClosedFormOfKnownCorrelations) {
  for (const double rho : {-0.9, -0.5, 0.0, 0.1, 0.6, 0.99}) {
    const Sums sums = exact_sums(rho);
    const MiMatrix mi = gaussian_mi(sums.second_moment, sums.channel, sums.tokens, kWithNats);
    // H is rounded to float32: off by an epsilon of 1300, or of 2600, beside deviations of 400 and
    // 2500: 10 epsilons of the correlation. dI / drho = rho / (1 - rho^2).
    const double tolerance = 10.0 * kFloatEpsilon;
    EXPECT_NEAR(mi.normalized[0][1].item<float>(), std::abs(rho), tolerance) << rho;
    EXPECT_NEAR(mi.nats[0][1].item<float>(), normal_nats(rho),
                tolerance * (1.0 + std::abs(rho) / (1.0 - rho * rho)))
        << rho;
    EXPECT_EQ(mi.nats[0][0].item<float>(), 0.0F);
  }
}

TEST(GaussianMi, BivariateNormalSamples) {
  constexpr double kRho = 0.6;
  constexpr std::int64_t kTokens = 2000;
  constexpr std::int64_t kPairs = 200;
  const MiMatrix mi = gaussian_of(normal_pairs(kTokens, kPairs, kRho, 1), kWithNats);
  // Delta method: the estimate has variance rho^2 / T; its bias is below 1 / T.
  const double deviation = kRho / std::sqrt(static_cast<double>(kTokens * kPairs));
  EXPECT_NEAR(mean_of_pairs(mi.nats), normal_nats(kRho), 4.0 * deviation + 1.0 / kTokens);
}

TEST(GaussianMi, BiasUnderIndependence) {
  constexpr std::int64_t kTokens = 50;
  const MiMatrix mi = gaussian_of(normal_pairs(kTokens, 150, 0.0, 2), kWithNats);
  // Of independent channels rho^2 has the Beta(1/2, T/2 - 1) distribution; the mean of
  // -1/2 ln(1 - rho^2) is (psi((T - 1) / 2) - psi((T - 2) / 2)) / 2, here with psi(x) as
  // ln x - 1 / (2 x) - 1 / (12 x^2).
  const auto psi = [](double x) { return std::log(x) - 0.5 / x - 1.0 / (12.0 * x * x); };
  const double bias = 0.5 * (psi(0.5 * (kTokens - 1.0)) - psi(0.5 * (kTokens - 2.0)));
  EXPECT_NEAR(bias, 0.5 / kTokens, 0.05 / kTokens);
  // 44,850 entries with the mean and about 1.4 times the deviation of chi^2(1) / (2 T).
  EXPECT_NEAR(mean_between_pairs(mi.nats), bias, 4.0 * 1.5 * bias / 211.0);
}

TEST(GaussianMi, DeterministicRelationIsCapped) {
  const torch::Tensor x = sgpt_mi::test::normal(500, 1, 3).flatten();
  // A power of two scales the sums exactly.
  const MiMatrix mi = gaussian_of(columns({x, x * -2.0, x * 3.0 + 7.0}), kWithNats);
  EXPECT_EQ(mi.normalized[0][1].item<float>(), 1.0F - 0x1p-23F);
  EXPECT_NEAR(mi.nats[0][1].item<float>(), 11.0 * std::log(2.0), 1e-5);
  // Otherwise the rounding of H is left: its mean is 2.5 deviations, so 10 epsilons.
  EXPECT_NEAR(mi.normalized[0][2].item<float>(), 1.0, 10.0 * kFloatEpsilon);
  EXPECT_GT(mi.nats[0][2].item<float>(), 6.0F);
}

TEST(GaussianMi, ConstantChannelsShareNothing) {
  torch::Tensor x = sgpt_mi::test::normal(64, 5, 4);
  x.select(1, 1).fill_(0.0);
  x.select(1, 4).fill_(0.7);
  const MiMatrix mi = gaussian_of(x, kWithNats);
  for (const std::int64_t channel : {1, 4}) {
    EXPECT_EQ(mi.normalized[channel].abs().sum().item<float>(), 0.0F);
    EXPECT_EQ(mi.normalized.select(1, channel).abs().sum().item<float>(), 0.0F);
    EXPECT_EQ(mi.nats[channel].abs().sum().item<float>(), 0.0F);
  }
  EXPECT_GT(mi.normalized[0][2].item<float>(), 0.0F);
}

TEST(GaussianMi, AllConstant) {
  const MiMatrix mi = gaussian_of(at::ones({10, 3}));
  EXPECT_EQ(mi.normalized.sum().item<float>(), 0.0F);
  EXPECT_FALSE(mi.nats.defined());
}

TEST(GaussianMi, IsSymmetricInRangeAndFollowsPermutations) {
  constexpr std::int64_t kChannels = 75;  // more than two panels
  const torch::Tensor x = sgpt_mi::test::normal(40, kChannels, 5) + 0.5;
  const Sums sums = sums_of(x);
  const torch::Tensor before = sums.second_moment.clone();
  const MiMatrix mi = gaussian_mi(sums.second_moment, sums.channel, sums.tokens);
  EXPECT_TRUE(sums.second_moment.equal(before));
  EXPECT_TRUE(mi.normalized.equal(mi.normalized.t()));
  EXPECT_GE(mi.normalized.min().item<float>(), 0.0F);
  EXPECT_LT(mi.normalized.max().item<float>(), 1.0F);
  EXPECT_EQ(mi.normalized.diagonal().abs().sum().item<float>(), 0.0F);
  const torch::Tensor order = at::arange(kChannels - 1, -1, -1);
  const MiMatrix permuted =
      gaussian_mi(sums.second_moment.index_select(0, order).index_select(1, order),
                  sums.channel.index_select(0, order), sums.tokens);
  EXPECT_TRUE(
      permuted.normalized.equal(mi.normalized.index_select(0, order).index_select(1, order)));
}

TEST(Correlation, KeepsTheSignAndScaleDoesNotMatter) {
  const torch::Tensor x = normal_pairs(300, 1, -0.8, 6);
  const Sums sums = sums_of(columns({x.select(1, 0) * 100.0, x.select(1, 1) - 5.0}));
  const Correlation found = correlation(sums.second_moment, sums.channel, sums.tokens);
  const torch::Tensor centred = (x - x.mean(0)).to(torch::kFloat64);
  const torch::Tensor unit = centred / centred.square().sum(0).sqrt();
  const double exact = unit.select(1, 0).dot(unit.select(1, 1)).item<double>();
  EXPECT_LT(exact, -0.7);
  // The mean of -5 makes H 26 times the variance.
  EXPECT_NEAR(found.rho[0][1].item<float>(), exact, 60.0 * kFloatEpsilon);
  EXPECT_EQ(found.rho[0][0].item<float>(), 1.0F);
  EXPECT_EQ(found.affinity().abs().sum().item<float>(), 0.0F);
}

TEST(Correlation, AffinityKeepsPositiveLinksOnly) {
  torch::Tensor x = normal_pairs(300, 1, 0.8, 7);
  x.select(1, 1).add_(2.0);
  const Sums sums = sums_of(x);
  const Correlation found = correlation(sums.second_moment, sums.channel, sums.tokens);
  const torch::Tensor affinity = found.affinity();
  EXPECT_EQ(affinity[0][1].item<float>(), found.rho[0][1].item<float>());
  EXPECT_EQ(affinity[0][0].item<float>(), 0.0F);
  EXPECT_EQ(found.rho[0][0].item<float>(), 1.0F) << "affinity() changed rho";
}

TEST(GaussianMi, NamesAVarianceThatCannotBe) {
  Sums sums = sums_of(sgpt_mi::test::normal(20, 3, 8));
  const auto run = [&] {
    static_cast<void>(gaussian_mi(sums.second_moment, sums.channel, sums.tokens));
  };
  sums.channel[2] = 1e6;
  EXPECT_THAT(error_of(ErrorKind::kNumeric, run), testing::HasSubstr("variance of channel 2 is -"));
  sums.second_moment[1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of(ErrorKind::kNumeric, run),
              testing::HasSubstr("variance of channel 1 is nan"));
}

TEST(GaussianMi, RefusesFewTokens) {
  const Sums sums = sums_of(sgpt_mi::test::normal(20, 3, 9));
  EXPECT_THAT(
      error_of(ErrorKind::kUsage,
               [&] { static_cast<void>(gaussian_mi(sums.second_moment, sums.channel, 3)); }),
      testing::HasSubstr("3 calibration tokens; expected at least 4"));
}

TEST(GaussianMi, RefusesOtherShapesAndTypes) {
  const Sums sums = sums_of(sgpt_mi::test::normal(20, 3, 10));
  const auto run = [&](const torch::Tensor& second_moment, const torch::Tensor& channel) {
    static_cast<void>(error_of(ErrorKind::kInternal, [&] {
      static_cast<void>(gaussian_mi(second_moment, channel, sums.tokens));
    }));
  };
  run(sums.second_moment.to(torch::kFloat64), sums.channel);
  run(sums.second_moment.narrow(0, 0, 2), sums.channel);
  run(sums.second_moment, sums.channel.narrow(0, 0, 2));
  run(sums.second_moment, sums.channel.to(torch::kFloat32));
}

}  // namespace
}  // namespace sgpt_mi::mi
