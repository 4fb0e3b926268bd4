#include "sgpt_mi/mi/sampled.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "samples.h"
#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::mi {
namespace {

using sgpt_mi::test::error_of;

TEST(Estimators, NamesAndBack) {
  for (const char* name : {"gaussian", "histogram", "kde", "ksg"}) {
    EXPECT_EQ(estimator_name(parse_estimator(name)), name);
  }
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { static_cast<void>(parse_estimator("mine")); }),
              testing::HasSubstr("'mine'; expected gaussian, histogram, kde or ksg"));
}

class EverySampledEstimator : public testing::TestWithParam<Estimator> {
 protected:
  static MiMatrix run(const torch::Tensor& samples, const SampledOptions& options = {}) {
    return sampled_mi(samples, GetParam(), options);
  }
};

TEST_P(EverySampledEstimator, IsAnAffinity) {
  torch::Tensor x = test::normal_pairs(120, 4, 0.9, 1);
  x.select(1, 5).fill_(1.0);
  const MiMatrix mi = run(x);
  EXPECT_TRUE(mi.normalized.equal(mi.normalized.t()));
  EXPECT_GE(mi.normalized.min().item<float>(), 0.0F);
  EXPECT_LE(mi.normalized.max().item<float>(), 1.0F);
  EXPECT_EQ(mi.normalized.diagonal().abs().sum().item<float>(), 0.0F);
  EXPECT_EQ(mi.normalized[5].abs().sum().item<float>(), 0.0F);
  EXPECT_GT(mi.normalized[0][1].item<float>(), 2.0F * mi.normalized[0][2].item<float>());
  EXPECT_FALSE(mi.nats.defined());
}

TEST_P(EverySampledEstimator, PermutingChannelsPermutesTheMatrix) {
  const torch::Tensor x = test::normal_pairs(60, 3, 0.5, 2);
  const torch::Tensor order = at::tensor({4, 0, 3, 5, 1, 2}, torch::kInt64);
  const torch::Tensor expected = run(x).normalized.index_select(0, order).index_select(1, order);
  const torch::Tensor found = run(x.index_select(1, order)).normalized;
  // kde sums in matrix products, whose order may differ; sqrt widens differences near 0.
  EXPECT_LE((found - expected).abs().max().item<float>(), 1e-3F);
}

TEST_P(EverySampledEstimator, TakesHalfPrecisionAndOneChannel) {
  const torch::Tensor x = test::normal_pairs(60, 2, 0.8, 3).to(torch::kBFloat16);
  EXPECT_TRUE(run(x).normalized.equal(run(x.to(torch::kFloat32)).normalized));
  const MiMatrix one = run(x.narrow(1, 0, 1));
  EXPECT_EQ(one.normalized.sum().item<float>(), 0.0F);
}

TEST_P(EverySampledEstimator, RefusesACostAboveTheCap) {
  SampledOptions options;
  options.max_core_seconds = 1e-9;
  const std::string text = error_of(
      ErrorKind::kUsage, [&] { static_cast<void>(run(sgpt_mi::test::normal(50, 8, 4), options)); });
  EXPECT_THAT(text, testing::HasSubstr(std::string(estimator_name(GetParam())) +
                                       " on 8 channels and 50 tokens would take"));
  EXPECT_THAT(text, testing::HasSubstr("--mi_method gaussian"));
}

TEST_P(EverySampledEstimator, NamesAValueThatIsNotFinite) {
  torch::Tensor x = sgpt_mi::test::normal(50, 8, 5);
  x[20][6] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_of(ErrorKind::kNumeric, [&] { static_cast<void>(run(x)); }),
              testing::HasSubstr("a sample of channel 6 is not finite"));
}

TEST_P(EverySampledEstimator, CostGrowsWithChannelsAndTokens) {
  const SampledCost small = sampled_cost(256, 512, GetParam());
  EXPECT_GT(small.core_seconds, 0.0);
  EXPECT_GT(sampled_cost(512, 512, GetParam()).core_seconds, 3.0 * small.core_seconds);
  EXPECT_GT(sampled_cost(256, 1024, GetParam()).core_seconds, 1.9 * small.core_seconds);
  EXPECT_GT(small.bytes, 256.0 * 512.0 - 1.0);
}

INSTANTIATE_TEST_SUITE_P(, EverySampledEstimator,
                         testing::Values(Estimator::kHistogram, Estimator::kKde, Estimator::kKsg),
                         [](const auto& name) { return std::string(estimator_name(name.param)); });

TEST(SampledMi, ThreadsDoNotChangeTheResult) {
  const int before = at::get_num_threads();
  for (const Estimator estimator : {Estimator::kHistogram, Estimator::kKsg}) {
    const torch::Tensor x = test::normal_pairs(100, 8, 0.4, 6);
    at::set_num_threads(1);
    const MiMatrix one = sampled_mi(x, estimator);
    at::set_num_threads(3);
    const MiMatrix three = sampled_mi(x, estimator);
    EXPECT_TRUE(one.normalized.equal(three.normalized));
  }
  at::set_num_threads(before);
}

TEST(SampledMi, RefusesFewTokens) {
  EXPECT_THAT(
      error_of(
          ErrorKind::kUsage,
          [] { static_cast<void>(sampled_mi(sgpt_mi::test::normal(3, 3, 7), Estimator::kKsg)); }),
      testing::HasSubstr("a sample of 3 tokens; expected at least 4"));
}

TEST(SampledMi, RefusesOtherShapesAndTheGaussianEstimator) {
  const torch::Tensor x = sgpt_mi::test::normal(50, 3, 8);
  const auto run = [](const torch::Tensor& samples, Estimator estimator) {
    static_cast<void>(
        error_of(ErrorKind::kInternal, [&] { static_cast<void>(sampled_mi(samples, estimator)); }));
  };
  run(x.flatten(), Estimator::kKsg);
  run(x.to(torch::kInt64), Estimator::kKsg);
  run(x, Estimator::kGaussian);
}

}  // namespace
}  // namespace sgpt_mi::mi
