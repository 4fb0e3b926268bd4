#include <gtest/gtest.h>

#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/mi/gaussian.h"
#include "support/gpu.h"
#include "support/random_tensor.h"

// From sums over tokens to groups of channels, on both devices.
namespace sgpt_mi::cluster {
namespace {

constexpr std::int64_t kGroups = 6;
constexpr std::int64_t kChannels = 600;  // beyond the full eigensolver's
constexpr std::int64_t kTokens = 2000;

/// Channel i shares a source with the channels that have the same i % kGroups.
torch::Tensor grouped_tokens() {
  const torch::Tensor sources = test::normal(kTokens, kGroups, 1);
  return sources.repeat({1, kChannels / kGroups}) + test::normal(kTokens, kChannels, 2);
}

struct Found {
  mi::MiMatrix information;
  Clustering groups;
};

Found find_groups(const torch::Tensor& x, Method method) {
  Found found;
  found.information = mi::gaussian_mi(x.t().matmul(x), x.sum(0).to(torch::kFloat64), kTokens);
  ClusterOptions options;
  options.groups = kGroups;
  options.method = method;
  found.groups = cluster_affinity(found.information.normalized, options);
  return found;
}

TEST(GroupsOnGpu, InformationAndLabelsAreTheCpus) {
  SGPT_MI_GPU_OR_SKIP();
  const torch::Tensor x = grouped_tokens();
  for (const Method method : {Method::kSpectral, Method::kKMeans}) {
    const Found cpu = find_groups(x, method);
    const Found gpu = find_groups(x.to(torch::kCUDA), method);
    EXPECT_TRUE(gpu.information.normalized.is_cuda());
    // H differs by the rounding of its products, some float32 epsilons of the diagonal.
    const torch::Tensor apart = gpu.information.normalized.cpu() - cpu.information.normalized;
    EXPECT_LE(apart.abs().max().item<double>(), 1e-4);
    EXPECT_EQ(gpu.groups.labels, cpu.groups.labels);
  }
}

}  // namespace
}  // namespace sgpt_mi::cluster
