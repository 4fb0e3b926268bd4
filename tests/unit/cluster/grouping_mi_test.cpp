#include <gtest/gtest.h>

#include "planted.h"
#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/mi/gaussian.h"
#include "sgpt_mi/mi/sampled.h"
#include "support/random_tensor.h"

// From samples of channels to groups, as the pipeline joins the rooms mi and cluster.
namespace sgpt_mi::cluster {
namespace {

constexpr std::int64_t kTokens = 400;
constexpr std::int64_t kChannels = 30;

/// Channel c follows factor c % 3, with the opposite sign where c is odd, and noise of half its
/// deviation. Channels 28 and 29 are constant.
torch::Tensor factor_samples() {
  const torch::Tensor factor = sgpt_mi::test::normal(kTokens, 3, 1);
  torch::Tensor x = sgpt_mi::test::normal(kTokens, kChannels, 2) * 0.5;
  for (std::int64_t c = 0; c < kChannels; ++c) {
    x.select(1, c).add_(factor.select(1, c % 3), c % 2 == 0 ? 1.0 : -1.0);
  }
  x.narrow(1, 28, 2).fill_(3.0);
  return x;
}

/// Label of channel c: its factor, times two plus its sign when signs count; constants apart.
Labels expected_labels(bool signs_count) {
  Labels labels;
  for (std::int32_t c = 0; c < kChannels; ++c) {
    labels.push_back(c >= 28 ? 6 : c % 3 * 2 + (signs_count ? c % 2 : 0));
  }
  number_by_first_channel(labels);
  return labels;
}

TEST(GroupingByMi, FindsFactorsWhateverTheSign) {
  const torch::Tensor x = factor_samples();
  const torch::Tensor wide = x.to(torch::kFloat64);
  const mi::MiMatrix gaussian =
      mi::gaussian_mi(wide.t().matmul(wide).to(torch::kFloat32), wide.sum(0), kTokens);
  EXPECT_EQ(cluster_affinity(gaussian.normalized, {.groups = 4}).labels, expected_labels(false));
  for (const auto estimator :
       {mi::Estimator::kHistogram, mi::Estimator::kKde, mi::Estimator::kKsg}) {
    const torch::Tensor affinity = mi::sampled_mi(x, estimator).normalized;
    const Clustering result = cluster_affinity(affinity, {.groups = 4});
    EXPECT_EQ(result.labels, expected_labels(false)) << mi::estimator_name(estimator);
  }
}

TEST(GroupingByCorrelation, TellsSignsApart) {
  const torch::Tensor wide = factor_samples().to(torch::kFloat64);
  const mi::Correlation found =
      mi::correlation(wide.t().matmul(wide).to(torch::kFloat32), wide.sum(0), kTokens);
  EXPECT_EQ(cluster_affinity(found.affinity(), {.groups = 7}).labels, expected_labels(true));
  EXPECT_EQ(cluster_profiles(found.rho, {.groups = 7}).labels, expected_labels(true));
}

}  // namespace
}  // namespace sgpt_mi::cluster
