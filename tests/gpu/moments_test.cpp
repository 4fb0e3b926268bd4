#include <gtest/gtest.h>

#include <limits>

#include "sgpt_mi/calib/drift_stats.h"
#include "sgpt_mi/calib/layer_stats.h"
#include "support/gpu.h"
#include "support/random_tensor.h"

// Sums over tokens on a GPU, in every type of activations, against float64.
namespace sgpt_mi::calib {
namespace {

constexpr std::int64_t kTokens = 300;
constexpr std::int64_t kChannels = 700;  // several panels, the last one narrower

torch::Tensor batch(unsigned seed, torch::ScalarType type) {
  return test::normal(kTokens, kChannels, seed).reshape({3, kTokens / 3, kChannels}).to(type);
}

torch::Tensor wide(const torch::Tensor& x) {
  return x.reshape({-1, x.size(-1)}).to(torch::kFloat64);
}

double largest(const torch::Tensor& x) { return x.abs().max().item<double>(); }

TEST(MomentsOnGpu, SecondMomentAgreesWithFloat64InEveryType) {
  SGPT_MI_GPU_OR_SKIP();
  for (const auto type : {torch::kFloat32, torch::kFloat16, torch::kBFloat16}) {
    const torch::Tensor x = batch(1, type);
    StatsAccumulator accumulator("fc1", kChannels, torch::kCUDA);
    accumulator.add(x.narrow(0, 0, 1).to(torch::kCUDA));
    accumulator.add(x.narrow(0, 1, 2).to(torch::kCUDA));
    const LayerStats stats = accumulator.finish();
    const torch::Tensor exact = wide(x).t().matmul(wide(x));
    const double tolerance =
        static_cast<double>(kTokens) * std::numeric_limits<float>::epsilon() * largest(exact);
    EXPECT_LE(largest(stats.second_moment_sum.cpu() - exact), tolerance) << type;
    EXPECT_TRUE(stats.second_moment_sum.equal(stats.second_moment_sum.t())) << type;
    EXPECT_LE(largest(stats.channel_sum.cpu() - wide(x).sum(0)), tolerance) << type;
    EXPECT_LE(largest(stats.channel_abs_sum.cpu() - wide(x).abs().sum(0)), tolerance) << type;
    EXPECT_TRUE(stats.channel_abs_max.cpu().equal(wide(x).abs().amax(0).to(torch::kFloat32)))
        << type;
  }
}

TEST(MomentsOnGpu, DriftAgreesWithFloat64InEveryType) {
  SGPT_MI_GPU_OR_SKIP();
  for (const auto type : {torch::kFloat32, torch::kFloat16, torch::kBFloat16}) {
    const torch::Tensor x = batch(2, type);
    const torch::Tensor dense = (x.to(torch::kFloat32) * 1.01).to(type);
    DriftAccumulator accumulator("fc1", kChannels, torch::kCUDA);
    accumulator.add(dense.to(torch::kCUDA), x.to(torch::kCUDA));
    const DriftStats stats = accumulator.finish();
    const torch::Tensor exact = (wide(dense) - wide(x)).t().matmul(wide(x));
    // Two bfloat16 parts of a difference leave out 2^-17 of it.
    const double rounding = static_cast<double>(kTokens) * std::numeric_limits<float>::epsilon();
    EXPECT_LE(largest(stats.cross_sum.cpu() - exact), (rounding + 0x1p-16) * largest(exact))
        << type;
  }
}

}  // namespace
}  // namespace sgpt_mi::calib
