#include "sgpt_mi/widths/importance.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "support/random_tensor.h"

namespace sgpt_mi::widths {
namespace {

torch::Tensor doubles(std::vector<double> values) { return torch::tensor(values, torch::kFloat64); }

/// Two rows, three channels; every term is easy to write down.
const torch::Tensor kWeight = torch::tensor({{1.0F, -2.0F, 0.0F}, {3.0F, 2.0F, 0.0F}});

ChannelMoments moments() {
  return {doubles({1.0, 2.0, 3.0}), doubles({4.0, 9.0, 16.0}), doubles({1.0, 0.0, 2.0}),
          doubles({0.5, 0.25, 1.0})};
}

ImportanceWeights only(double ImportanceWeights::*term) {
  ImportanceWeights weights{0.0, 0.0, 0.0, 0.0, 0.0};
  weights.*term = 2.0;  // any positive number: the sum is divided out
  return weights;
}

void expect_importance(double ImportanceWeights::*term, const std::vector<double>& unscaled) {
  const torch::Tensor expected = doubles(unscaled) / doubles(unscaled).mean();
  const torch::Tensor actual = channel_importance(kWeight, moments(), only(term));
  EXPECT_TRUE(actual.allclose(expected, 1e-12)) << actual;
}

TEST(Importance, EachTermIsItsFormula) {
  expect_importance(&ImportanceWeights::activation, {1.0, 2.0, 3.0});
  expect_importance(&ImportanceWeights::hessian, {5.0 / 0.5, 4.0 / 0.25, 0.0});
  expect_importance(&ImportanceWeights::weight, {2.0, 2.0, 0.0});
  expect_importance(&ImportanceWeights::output, {4.0, 6.0, 0.0});
  expect_importance(&ImportanceWeights::stability, {1.0, 0.0, 2.0});
}

TEST(Importance, TheWeightedSumHasMeanOne) {
  const torch::Tensor weight = test::normal(8, 30, 1);
  const torch::Tensor positive = test::normal(4, 30, 2).to(torch::kFloat64).square() + 0.1;
  const ChannelMoments random{positive[0], positive[1], positive[2], positive[3]};
  EXPECT_NEAR(channel_importance(weight, random, {}).mean().item<double>(), 1.0, 1e-12);
}

TEST(Importance, ATermThatIsZeroEverywhereSaysNothing) {
  ChannelMoments constant = moments();
  constant.variance = at::zeros({3}, torch::kFloat64);
  const torch::Tensor importance =
      channel_importance(kWeight, constant, only(&ImportanceWeights::stability));
  EXPECT_TRUE(importance.equal(at::ones({3}, torch::kFloat64)));
}

TEST(Importance, RefusesWeightsThatAreNoShares) {
  const auto fails = [](ImportanceWeights weights) {
    try {
      weights.validate();
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kUsage;
    }
    return false;
  };
  EXPECT_TRUE(fails({-0.1, 0.5, 0.5, 0.1, 0.0}));
  EXPECT_TRUE(fails({0.0, 0.0, 0.0, 0.0, 0.0}));
  EXPECT_FALSE(fails({1.0, 0.0, 0.0, 0.0, 0.0}));
}

TEST(Contribution, IsMeanMagnitudeTimesMeanInput) {
  const torch::Tensor contribution = channel_contribution(kWeight, doubles({1.0, 0.5, 7.0}));
  EXPECT_TRUE(contribution.equal(doubles({2.0, 1.0, 0.0})));
}

}  // namespace
}  // namespace sgpt_mi::widths
