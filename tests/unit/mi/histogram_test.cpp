#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "mi/estimates.h"
#include "samples.h"
#include "sgpt_mi/mi/sampled.h"

namespace sgpt_mi::mi {
namespace {

using test::columns;
using test::mean_between_pairs;
using test::mean_of_pairs;
using test::normal_pairs;

MiMatrix binned_mi(const torch::Tensor& samples) {
  SampledOptions options;
  options.with_nats = true;
  return sampled_mi(samples, Estimator::kHistogram, options);
}

/// With another number of bins than sampled_mi takes.
MiMatrix binned_mi(const torch::Tensor& samples, std::int64_t bins) {
  const auto make = [&] { return at::zeros({samples.size(1), samples.size(1)}); };
  const PairOutput output{make(), make()};
  histogram_mi(samples, bins, output);
  return {output.normalized, output.nats};
}

/// (T, 2): token pairs (a, b), each as often as count[a][b] says.
torch::Tensor table_samples(const std::vector<std::vector<int>>& count) {
  std::vector<float> values;
  for (std::size_t a = 0; a < count.size(); ++a) {
    for (std::size_t b = 0; b < count[a].size(); ++b) {
      for (int repeat = 0; repeat < count[a][b]; ++repeat) {
        values.push_back(static_cast<float>(a));
        values.push_back(static_cast<float>(b) * 10.0F);
      }
    }
  }
  return at::tensor(values).reshape({-1, 2});
}

double x_log_x(double x) { return x > 0.0 ? x * std::log(x) : 0.0; }

TEST(HistogramMi, DiscreteChannelsAreExact) {
  // A binary channel and a copy with 10 errors in each direction among 100 tokens.
  const MiMatrix mi = binned_mi(table_samples({{40, 10}, {10, 40}}), 8);
  const double nats = std::log(2.0) + x_log_x(0.8) + x_log_x(0.2);
  EXPECT_NEAR(mi.nats[0][1].item<float>(), nats, 1e-7);
  EXPECT_NEAR(mi.normalized[0][1].item<float>(), nats / std::log(2.0), 1e-6);
}

TEST(HistogramMi, UnequalTable) {
  const std::vector<std::vector<int>> count{{5, 0, 7}, {1, 12, 3}};
  const double total = 28.0;
  double joint = 0.0;
  for (const auto& row : count) {
    for (const int n : row) joint -= x_log_x(n / total);
  }
  const double rows = -x_log_x(12 / total) - x_log_x(16 / total);
  const double columns_entropy = -x_log_x(6 / total) - x_log_x(12 / total) - x_log_x(10 / total);
  const double nats = rows + columns_entropy - joint;
  const MiMatrix mi = binned_mi(table_samples(count));
  EXPECT_NEAR(mi.nats[1][0].item<float>(), nats, 1e-6);
  EXPECT_NEAR(mi.normalized[1][0].item<float>(), 2.0 * nats / (rows + columns_entropy), 1e-6);
}

TEST(HistogramMi, ProductTablesAreIndependent) {
  const MiMatrix mi = binned_mi(table_samples({{2, 4, 6}, {3, 6, 9}}));
  EXPECT_NEAR(mi.nats[0][1].item<float>(), 0.0, 1e-7);
  EXPECT_NEAR(mi.normalized[0][1].item<float>(), 0.0, 1e-6);
}

TEST(HistogramMi, MonotoneRelationIsComplete) {
  const torch::Tensor x = sgpt_mi::test::normal(1000, 1, 1).flatten();
  const MiMatrix mi = binned_mi(columns({x, x.exp()}), 10);
  EXPECT_NEAR(mi.normalized[0][1].item<float>(), 1.0, 1e-6);
  EXPECT_NEAR(mi.nats[0][1].item<float>(), std::log(10.0), 1e-6);  // ten bins of 100 tokens
}

TEST(HistogramMi, TwoBinsOfABivariateNormal) {
  constexpr double kRho = 0.6;
  constexpr std::int64_t kTokens = 2000;
  constexpr std::int64_t kPairs = 100;
  const MiMatrix mi = binned_mi(normal_pairs(kTokens, kPairs, kRho, 2), 2);
  // Both above their medians: probability 1/4 + asin(rho) / (2 pi) (Sheppard 1899).
  const double same = 0.5 + std::asin(kRho) / M_PI;
  const double nats = std::log(2.0) + x_log_x(same) + x_log_x(1.0 - same);
  // Delta method: dI / dsame = ln(same / (1 - same)), variance same (1 - same) / T.
  const double deviation = std::log(same / (1.0 - same)) *
                           std::sqrt(same * (1.0 - same) / static_cast<double>(kTokens * kPairs));
  EXPECT_NEAR(mean_of_pairs(mi.nats), nats, 4.0 * deviation + 1.0 / kTokens);
}

TEST(HistogramMi, BiasUnderIndependence) {
  constexpr std::int64_t kTokens = 1000;
  const MiMatrix mi = binned_mi(normal_pairs(kTokens, 40, 0.0, 3));
  constexpr double kBias = 81.0 / (2.0 * kTokens);  // ten bins (Miller 1955)
  // 2 T I is about chi^2(81) distributed: deviation sqrt(162) / (2 T) of one of 3160 entries. The
  // next term of the bias is of relative order B^2 / (6 T).
  const double deviation = std::sqrt(162.0) / (2.0 * kTokens) / std::sqrt(3160.0);
  EXPECT_NEAR(mean_between_pairs(mi.nats), kBias, 4.0 * deviation + 0.1 * kBias);
}

TEST(HistogramMi, ManyEqualValuesKeepTheRestApart) {
  // Half of the tokens 0, as behind a ReLU: one bin, and the other seven resolve the rest.
  const torch::Tensor x = at::arange(1024).sub(511).clamp_min(0).to(torch::kFloat32);
  const MiMatrix mi = binned_mi(columns({x, x * 3.0}), 8);
  double entropy = -x_log_x(512 / 1024.0) - x_log_x(74 / 1024.0);
  for (int bin = 0; bin < 6; ++bin) entropy -= x_log_x(73 / 1024.0);
  EXPECT_NEAR(mi.nats[0][1].item<float>(), entropy, 1e-6);
}

TEST(HistogramMi, ConstantChannelsShareNothing) {
  torch::Tensor x = sgpt_mi::test::normal(100, 3, 5);
  x.select(1, 1).fill_(-2.5);
  const MiMatrix mi = binned_mi(x);
  EXPECT_EQ(mi.normalized[1].abs().sum().item<float>(), 0.0F);
  EXPECT_GT(mi.normalized[0][2].item<float>(), 0.0F);
}

}  // namespace
}  // namespace sgpt_mi::mi
