#include "sgpt_mi/calib/layer_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "sgpt_mi/core/error.h"
#include "support/random_tensor.h"

namespace sgpt_mi::calib {
namespace {

LayerStats stats_of(const std::vector<torch::Tensor>& batches) {
  StatsAccumulator accumulator("fc1", batches[0].size(2), torch::kCPU);
  for (const torch::Tensor& batch : batches) accumulator.add(batch);
  return accumulator.finish();
}

std::string error_text(const torch::Tensor& x) {
  try {
    stats_of({x});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    return error.what();
  }
  return "";
}

TEST(LayerStats, MassiveChannelsHaveHundredTimesTheMedianEnergy) {
  torch::Tensor x = at::ones({1, 1, 9});
  x[0][0][2] = 10.5;  // 110 times
  x[0][0][4] = 9.5;   // 90 times
  for (const int dead : {6, 7, 8}) x[0][0][dead] = 0.0;
  EXPECT_EQ(stats_of({x}).massive_channels(), 1);
  EXPECT_EQ(stats_of({at::zeros({1, 1, 3})}).massive_channels(), 0);
}

TEST(LayerStats, OneTokenByHand) {
  torch::Tensor x = at::zeros({1, 1, 2});
  x[0][0][0] = 3.0;
  x[0][0][1] = -2.0;
  const LayerStats stats = stats_of({x});
  EXPECT_EQ(stats.second_moment_sum[0][0].item<float>(), 9.0F);
  EXPECT_EQ(stats.second_moment_sum[0][1].item<float>(), -6.0F);
  EXPECT_EQ(stats.second_moment_sum[1][0].item<float>(), -6.0F);
  EXPECT_EQ(stats.channel_sum[1].item<double>(), -2.0);
  EXPECT_EQ(stats.channel_abs_sum[1].item<double>(), 2.0);
  EXPECT_EQ(stats.channel_abs_max[1].item<float>(), 2.0F);
  EXPECT_EQ(stats.tokens, 1);
  EXPECT_EQ(stats.sequences, 1);
}

TEST(LayerStats, HessianCountsSequencesNotTokens) {
  const LayerStats stats = stats_of({at::ones({4, 3, 1})});
  EXPECT_EQ(stats.tokens, 12);
  EXPECT_EQ(stats.hessian()[0][0].item<float>(), 2.0F / 4.0F * 12.0F);
}

TEST(LayerStats, BatchesAddUpAndWideLayersAreSymmetric) {
  constexpr std::int64_t kChannels = 1100;  // more than two panels
  const torch::Tensor x = test::normal(24, kChannels, 1).reshape({2, 12, kChannels});
  const LayerStats stats = stats_of({x.narrow(0, 0, 1), x.narrow(0, 1, 1)});
  const torch::Tensor wide = x.reshape({24, kChannels}).to(torch::kFloat64);
  // Sums of 24 products: 24 float32 epsilons of the largest sum.
  const torch::Tensor exact = wide.t().matmul(wide);
  const double tolerance =
      24.0 * std::numeric_limits<float>::epsilon() * exact.abs().max().item<double>();
  EXPECT_LE((stats.second_moment_sum - exact).abs().max().item<double>(), tolerance);
  EXPECT_TRUE(stats.second_moment_sum.equal(stats.second_moment_sum.t()));
  EXPECT_LE((stats.channel_sum - wide.sum(0)).abs().max().item<double>(), tolerance);
  EXPECT_LE((stats.channel_abs_sum - wide.abs().sum(0)).abs().max().item<double>(), tolerance);
  EXPECT_EQ(stats.sequences, 2);
}

TEST(LayerStats, MostlyZeroInputsGiveTheSameSums) {
  constexpr std::int64_t kChannels = 300;
  const torch::Tensor x = at::relu(test::normal(2 * 40, kChannels, 4) - 1.5).reshape({2, 40, -1});
  ASSERT_LT(at::count_nonzero(x).item<double>(), 0.15 * static_cast<double>(x.numel()));
  const LayerStats stats = stats_of({x.narrow(0, 0, 1), x.narrow(0, 1, 1)});
  const torch::Tensor wide = x.reshape({-1, kChannels}).to(torch::kFloat64);
  const torch::Tensor exact = wide.t().matmul(wide);
  const double tolerance =
      80.0 * std::numeric_limits<float>::epsilon() * exact.abs().max().item<double>();
  EXPECT_LE((stats.second_moment_sum - exact).abs().max().item<double>(), tolerance);
  EXPECT_TRUE(stats.second_moment_sum.equal(stats.second_moment_sum.t()));
  EXPECT_TRUE(stats.channel_abs_max.equal(x.reshape({-1, kChannels}).abs().amax(0)));
}

TEST(LayerStats, CountsDeadAndConstantChannels) {
  torch::Tensor x = test::normal(50, 4, 2).reshape({1, 50, 4});
  x.select(2, 1).fill_(0.0);
  x.select(2, 3).fill_(0.7);
  const LayerStats stats = stats_of({x});
  EXPECT_EQ(stats.constant_channels(), 1);
}

TEST(LayerStats, AcceptsHalfPrecisionAndEmptyBatches) {
  const torch::Tensor x = test::normal(6, 3, 3).reshape({1, 6, 3}).to(torch::kBFloat16);
  const LayerStats stats = stats_of({x, x.narrow(1, 0, 0)});
  EXPECT_EQ(stats.second_moment_sum.scalar_type(), torch::kFloat32);
  EXPECT_EQ(stats.tokens, 6);
}

TEST(LayerStats, NamesTheFirstValueThatIsNotFinite) {
  torch::Tensor x = at::ones({2, 5, 4});
  x[1][2][3] = std::numeric_limits<float>::quiet_NaN();
  x[1][4][0] = std::numeric_limits<float>::infinity();
  const std::string text = error_text(x);
  EXPECT_THAT(text, testing::HasSubstr("the input of fc1 is nan"));
  EXPECT_THAT(text, testing::HasSubstr("sequence 1, token 2, channel 3"));
  x[1][2][3] = 0.0;
  EXPECT_THAT(error_text(x), testing::HasSubstr("is inf at sequence 1, token 4, channel 0"));
}

TEST(LayerStats, SaysWhenSumsOverflow) {
  EXPECT_THAT(error_text(at::full({1, 4, 1}, 2e38)), testing::HasSubstr("overflow"));
}

TEST(LayerStats, RefusesAnotherShape) {
  StatsAccumulator accumulator("fc1", 3, torch::kCPU);
  EXPECT_THROW(accumulator.add(at::ones({1, 2, 4})), Error);
  EXPECT_THROW(accumulator.add(at::ones({2, 3})), Error);
}

}  // namespace
}  // namespace sgpt_mi::calib
