#include "sgpt_mi/cluster/clustering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "planted.h"

namespace sgpt_mi::cluster {
namespace {

using test::permuted;
using test::Planted;
using test::planted;
using test::random_affinity;
using test::random_order;

/// More channels than the full eigensolver takes.
const std::vector<std::int64_t> kLargeSizes{50, 70, 90, 120, 130, 140};
const std::vector<std::int64_t> kSmallSizes{4, 8, 12, 16};

class EveryMethod : public testing::TestWithParam<const char*> {
 protected:
  static Clustering run(const torch::Tensor& affinity, std::int64_t groups,
                        std::uint64_t seed = 0) {
    ClusterOptions options;
    options.method = parse_method(GetParam());
    options.groups = groups;
    options.seed = seed;
    return cluster_affinity(affinity, options);
  }
};

void expect_consistent(const Clustering& result, std::int64_t channels) {
  EXPECT_EQ(static_cast<std::int64_t>(result.labels.size()), channels);
  EXPECT_EQ(static_cast<std::int64_t>(result.sizes.size()), result.groups);
  EXPECT_EQ(result.mean_affinity.size(), result.sizes.size());
  EXPECT_EQ(result.sizes, sizes_of(result.labels, result.groups));
  EXPECT_GE(*std::min_element(result.sizes.begin(), result.sizes.end()), 1);
  EXPECT_TRUE(result.silhouette >= -1.0 && result.silhouette <= 1.0) << result.silhouette;
  for (const double mean : result.mean_affinity) EXPECT_TRUE(mean >= 0.0 && mean <= 1.0) << mean;
  Labels numbered = result.labels;
  EXPECT_EQ(number_by_first_channel(numbered), result.groups);
  EXPECT_EQ(numbered, result.labels) << "not numbered by first channel";
}

TEST_P(EveryMethod, FindsPlantedGroups) {
  for (const auto& sizes : {kSmallSizes, kLargeSizes}) {
    const Planted problem = planted(sizes, 1);
    const Clustering result = run(problem.affinity, static_cast<std::int64_t>(sizes.size()));
    EXPECT_EQ(result.labels, problem.truth);
    // Mean distances: 0.3 inside, 0.85 between. Groups of 4 scatter.
    EXPECT_NEAR(result.silhouette, 0.55 / 0.85, 0.05);
    for (const double mean : result.mean_affinity) EXPECT_NEAR(mean, 0.7, 0.2);
    expect_consistent(result, problem.affinity.size(0));
  }
}

TEST_P(EveryMethod, FindsTheNumberOfPlantedGroups) {
  for (const auto& sizes : {kSmallSizes, kLargeSizes}) {
    const Planted problem = planted(sizes, 2);
    const Clustering result = run(problem.affinity, 0);
    EXPECT_EQ(result.labels, problem.truth);
  }
}

TEST_P(EveryMethod, PermutingChannelsPermutesLabels) {
  for (const auto& sizes : {kSmallSizes, kLargeSizes}) {
    const Planted problem = planted(sizes, 3);
    const std::vector<std::int64_t> order = random_order(problem.affinity.size(0), 4);
    const auto groups = static_cast<std::int64_t>(sizes.size());
    const Clustering result = run(problem.affinity, groups);
    const Clustering moved = run(permuted(problem.affinity, order), groups);
    EXPECT_EQ(moved.labels, permuted(result.labels, order));
    EXPECT_NEAR(moved.silhouette, result.silhouette, 1e-6);
  }
}

TEST_P(EveryMethod, PermutingChannelsPermutesLabelsWithoutStructureToo) {
  // There are many groupings of about the same quality: only random numbers that follow the
  // channels lead to the same one.
  const torch::Tensor affinity = random_affinity(120, 5);
  const std::vector<std::int64_t> order = random_order(120, 6);
  EXPECT_EQ(run(permuted(affinity, order), 4).labels, permuted(run(affinity, 4).labels, order));
}

TEST_P(EveryMethod, SameSeedSameLabels) {
  for (const std::int64_t channels : {100, 400}) {
    const torch::Tensor affinity = random_affinity(channels, 7);
    const Clustering first = run(affinity, 5, 11);
    const Clustering second = run(affinity, 5, 11);
    EXPECT_EQ(first.labels, second.labels);
    EXPECT_EQ(first.silhouette, second.silhouette);
    expect_consistent(first, channels);
  }
}

TEST_P(EveryMethod, DoesNotChangeTheAffinity) {
  const torch::Tensor affinity = random_affinity(50, 8);
  const torch::Tensor before = affinity.clone();
  static_cast<void>(run(affinity, 3));
  EXPECT_TRUE(affinity.equal(before));
}

TEST_P(EveryMethod, AsManyGroupsAsAsked) {
  const torch::Tensor affinity = random_affinity(64, 9);
  ClusterOptions options;
  options.method = parse_method(GetParam());
  options.smallest_group = 1;
  for (const std::int64_t groups : {1, 2, 7, 31, 64}) {
    options.groups = groups;
    const Clustering result = cluster_affinity(affinity, options);
    EXPECT_EQ(result.groups, groups);
    expect_consistent(result, 64);
  }
}

TEST_P(EveryMethod, GroupsReachTheSmallestSize) {
  const torch::Tensor affinity = random_affinity(64, 10);
  ClusterOptions options;
  options.method = parse_method(GetParam());
  for (const std::int64_t smallest : {2, 5, 20, 64}) {
    for (const std::int64_t groups : {0, 6, 30}) {
      options.groups = groups;
      options.smallest_group = smallest;
      const Clustering result = cluster_affinity(affinity, options);
      EXPECT_GE(*std::min_element(result.sizes.begin(), result.sizes.end()), smallest);
      if (groups > 0) {
        EXPECT_LE(result.groups, groups);
      }
      expect_consistent(result, 64);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryMethod, testing::Values("spectral", "hierarchical", "kmeans"),
                         [](const auto& name) { return std::string(name.param); });

TEST(Spectral, SeedsMatterWithoutStructureOnly) {
  ClusterOptions options;
  options.groups = 4;
  const torch::Tensor affinity = random_affinity(120, 12);
  const Labels first = cluster_affinity(affinity, options).labels;
  options.seed = 1;
  EXPECT_NE(cluster_affinity(affinity, options).labels, first);
}

TEST(Spectral, FindsDisconnectedGroups) {
  const Planted problem = planted({100, 120, 140}, 13);
  const torch::Tensor group = at::tensor(problem.truth, torch::kInt64);
  const torch::Tensor cut =
      at::where(group.unsqueeze(0).eq(group.unsqueeze(1)), problem.affinity, 0.0);
  ClusterOptions options;
  options.groups = 0;
  const Clustering result = cluster_affinity(cut, options);
  EXPECT_EQ(result.labels, problem.truth);
}

TEST(Methods, HaveNames) {
  EXPECT_EQ(parse_method("spectral"), Method::kSpectral);
  EXPECT_EQ(parse_method("hierarchical"), Method::kHierarchical);
  EXPECT_EQ(parse_method("kmeans"), Method::kKMeans);
}

}  // namespace
}  // namespace sgpt_mi::cluster
