#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "planted.h"
#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/core/error.h"
#include "support/random_tensor.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::cluster {
namespace {

using sgpt_mi::test::error_of;
using sgpt_mi::test::normal;
using testing::HasSubstr;

/// (N, D): channel c is near center c % groups; centres are about sqrt(2 D) apart.
torch::Tensor around_centers(std::int64_t channels, std::int64_t dimensions, std::int64_t groups) {
  const torch::Tensor center = at::arange(channels).remainder(groups);
  return normal(groups, dimensions, 1).index_select(0, center) +
         normal(channels, dimensions, 2) * 0.2;
}

TEST(ClusterProfiles, FindsPlantedGroups) {
  // Narrow profiles as they are, wide ones by components: full and iterative eigensolver.
  for (const auto& [channels, dimensions] :
       {std::pair<std::int64_t, std::int64_t>{60, 8}, {60, 100}, {450, 600}}) {
    const Clustering result =
        cluster_profiles(around_centers(channels, dimensions, 5), {.groups = 5});
    for (std::int64_t c = 0; c < channels; ++c) {
      ASSERT_EQ(result.labels[static_cast<std::size_t>(c)], c % 5) << channels;
    }
    EXPECT_EQ(result.groups, 5);
    EXPECT_EQ(result.mean_affinity.size(), 5U);
  }
}

TEST(ClusterProfiles, PermutingChannelsPermutesLabels) {
  const torch::Tensor profiles = normal(80, 40, 3);
  const std::vector<std::int64_t> order = test::random_order(80, 4);
  const Labels labels = cluster_profiles(profiles, {.groups = 4}).labels;
  const torch::Tensor moved = profiles.index_select(0, at::tensor(order, torch::kInt64));
  EXPECT_EQ(cluster_profiles(moved, {.groups = 4}).labels, test::permuted(labels, order));
}

TEST(ClusterProfiles, SmallGroupsJoinTheNearest) {
  torch::Tensor profiles = around_centers(20, 3, 2) * 0.1;
  profiles[6] = profiles[8] + 50.0;  // alone and far away, nearest to the even channels or the odd
  const Clustering result = cluster_profiles(profiles, {.groups = 3});
  EXPECT_EQ(result.groups, 2);
  const Clustering kept = cluster_profiles(profiles, {.groups = 3, .smallest_group = 1});
  EXPECT_EQ(kept.groups, 3);
  EXPECT_THAT(kept.sizes, testing::UnorderedElementsAre(1, 9, 10));
}

TEST(ClusterProfiles, ProfilesOfZeros) {
  for (const std::int64_t dimensions : {4, 500}) {
    const Clustering result =
        cluster_profiles(at::zeros({400, dimensions}), {.groups = 3, .smallest_group = 1});
    EXPECT_EQ(result.groups, 3);
  }
}

TEST(ClusterProfiles, Refusals) {
  torch::Tensor profiles = normal(10, 4, 5);
  const auto text = [&](ErrorKind kind, const ClusterOptions& options) {
    return error_of(kind, [&] { static_cast<void>(cluster_profiles(profiles, options)); });
  };
  EXPECT_THAT(text(ErrorKind::kUsage, {.groups = 0}), HasSubstr("give the number of groups"));
  EXPECT_THAT(text(ErrorKind::kUsage, {.groups = 11}), HasSubstr("11 groups for 10 channels"));
  profiles[7][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(text(ErrorKind::kNumeric, {.groups = 2}), HasSubstr("profile of channel 7"));
  profiles = profiles.to(torch::kFloat64);
  text(ErrorKind::kInternal, {.groups = 2});
}

}  // namespace
}  // namespace sgpt_mi::cluster
