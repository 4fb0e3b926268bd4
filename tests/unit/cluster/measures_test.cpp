#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "planted.h"
#include "sgpt_mi/cluster/controls.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cluster {
namespace {

/// Rousseeuw's definition, pair by pair.
double plain_silhouette(const torch::Tensor& affinity, const Labels& labels, std::int64_t groups) {
  const auto s = affinity.accessor<float, 2>();
  const auto count = static_cast<std::int64_t>(labels.size());
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<double> distance(static_cast<std::size_t>(groups), 0.0);
    std::vector<double> members(distance.size(), 0.0);
    for (std::int64_t j = 0; j < count; ++j) {
      if (j == i) continue;
      const std::size_t g = place(labels[static_cast<std::size_t>(j)]);
      distance[g] += 1.0 - static_cast<double>(s[i][j]);
      members[g] += 1.0;
    }
    const std::size_t own = place(labels[static_cast<std::size_t>(i)]);
    if (members[own] == 0.0) continue;
    double b = std::numeric_limits<double>::infinity();
    for (std::size_t g = 0; g < distance.size(); ++g) {
      if (g != own) b = std::min(b, distance[g] / members[g]);
    }
    const double a = distance[own] / members[own];
    sum += (b - a) / std::max(a, b);
  }
  return sum / static_cast<double>(count);
}

TEST(Measure, ByHand) {
  // Two pairs: 0.75 inside, 0.25 between: (0.75 - 0.25) / 0.75.
  torch::Tensor affinity = at::full({4, 4}, 0.25F);
  for (const auto& [i, j] : {std::pair<int, int>{0, 1}, {2, 3}}) {
    affinity[i][j] = 0.75F;
    affinity[j][i] = 0.75F;
  }
  affinity.fill_diagonal_(0.0);
  Clustering groups = contiguous_groups(4, 2);
  measure(groups, affinity);
  EXPECT_DOUBLE_EQ(groups.silhouette, 0.5 / 0.75);
  EXPECT_THAT(groups.mean_affinity, testing::ElementsAre(0.75, 0.75));
  Clustering one = contiguous_groups(4, 1);
  measure(one, affinity);
  EXPECT_EQ(one.silhouette, 0.0);
  EXPECT_DOUBLE_EQ(one.mean_affinity[0], (2 * 0.75 + 4 * 0.25) / 6.0);
}

TEST(Measure, MatchesTheDefinition) {
  const torch::Tensor affinity = test::random_affinity(37, 1);
  for (const std::int64_t groups : {2, 5, 36}) {
    Clustering clustering = random_groups(37, groups, 3);
    measure(clustering, affinity);
    EXPECT_NEAR(clustering.silhouette, plain_silhouette(affinity, clustering.labels, groups), 1e-6);
  }
}

TEST(Measure, ChannelsAloneCountAsZero) {
  Clustering clustering = contiguous_groups(6, 6);
  measure(clustering, test::random_affinity(6, 2));
  EXPECT_EQ(clustering.silhouette, 0.0);
  for (const double mean : clustering.mean_affinity) EXPECT_EQ(mean, 0.0);
}

TEST(Measure, RefusesAMatrixOfOtherChannels) {
  Clustering clustering = contiguous_groups(6, 2);
  EXPECT_THROW(measure(clustering, test::random_affinity(5, 3)), Error);
}

TEST(MergeSmallGroups, IntoTheMostSimilar) {
  // Channel 4 is alone; its affinity is 0.6 to the second group, 0.1 to the first.
  torch::Tensor affinity = at::full({5, 5}, 0.5F);
  for (std::int64_t i = 0; i < 4; ++i) {
    affinity[4][i] = i < 2 ? 0.1F : 0.6F;
    affinity[i][4] = i < 2 ? 0.1F : 0.6F;
  }
  affinity.fill_diagonal_(0.0);
  Labels labels{0, 0, 1, 1, 2};
  const GroupMatrix similarity = mean_affinities(affinity, labels, 3);
  EXPECT_EQ(merge_small_groups(labels, similarity, 1), 0);
  EXPECT_EQ(merge_small_groups(labels, similarity, 2), 1);
  EXPECT_THAT(labels, testing::ElementsAre(0, 0, 1, 1, 1));
}

TEST(MergeSmallGroups, UntilOneIsLeft) {
  Labels labels{0, 1, 2, 3};
  GroupMatrix similarity{4, std::vector<double>(16, 0.0)};
  EXPECT_EQ(merge_small_groups(labels, similarity, 100), 3);
  EXPECT_EQ(number_by_first_channel(labels), 1);
}

TEST(MergeSmallGroups, AveragesByChannels) {
  // 0 (1 channel) joins 1 (3 channels): the similarity of both to 2 is (0.1 + 3 * 0.5) / 4 = 0.4,
  // below that of 2 to 3, so that 2 joins 3.
  Labels labels{0, 1, 1, 1, 2, 2, 3, 3, 3, 3};
  GroupMatrix similarity{4,
                         {0.0, 0.9, 0.1, 0.0,   //
                          0.9, 0.0, 0.5, 0.0,   //
                          0.1, 0.5, 0.0, 0.45,  //
                          0.0, 0.0, 0.45, 0.0}};
  EXPECT_EQ(merge_small_groups(labels, similarity, 3), 2);
  EXPECT_THAT(labels, testing::ElementsAre(1, 1, 1, 1, 3, 3, 3, 3, 3, 3));
}

}  // namespace
}  // namespace sgpt_mi::cluster
