#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "planted.h"
#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::cluster {
namespace {

using sgpt_mi::test::error_of;
using test::Planted;
using test::planted;
using test::random_affinity;
using testing::HasSubstr;

class EveryMethodAtTheEdge : public testing::TestWithParam<const char*> {
 protected:
  static Clustering run(const torch::Tensor& affinity, std::int64_t groups,
                        std::int64_t smallest_group = 2) {
    ClusterOptions options;
    options.method = parse_method(GetParam());
    options.groups = groups;
    options.smallest_group = smallest_group;
    return cluster_affinity(affinity, options);
  }
};

TEST_P(EveryMethodAtTheEdge, OneChannel) {
  for (const std::int64_t groups : {0, 1}) {
    const Clustering result = run(at::zeros({1, 1}), groups);
    EXPECT_THAT(result.labels, testing::ElementsAre(0));
    EXPECT_EQ(result.groups, 1);
    EXPECT_EQ(result.silhouette, 0.0);
  }
}

TEST_P(EveryMethodAtTheEdge, NoAffinityAtAll) {
  const Clustering result = run(at::zeros({12, 12}), 4);
  EXPECT_EQ(result.groups, 1);
  EXPECT_EQ(result.silhouette, 0.0);
}

TEST_P(EveryMethodAtTheEdge, EqualAffinities) {
  // Every grouping is as good as any other: distances are 0.
  for (const std::int64_t channels : {2, 3, 20, 300}) {
    const torch::Tensor affinity = at::ones({channels, channels}).fill_diagonal_(0.0);
    for (const std::int64_t groups : {std::int64_t{0}, std::int64_t{2}}) {
      const Clustering result = run(affinity, groups, 1);
      EXPECT_GE(*std::min_element(result.sizes.begin(), result.sizes.end()), 1);
      EXPECT_EQ(result.silhouette, 0.0);
      if (groups > 0) {
        EXPECT_EQ(result.groups, groups);
      }
    }
  }
}

TEST_P(EveryMethodAtTheEdge, IsolatedChannelsAreAGroup) {
  for (const auto& sizes : {std::vector<std::int64_t>{10, 15}, {150, 200}}) {
    Planted problem = planted(sizes, 1);
    Labels expected = problem.truth;
    for (const std::int64_t channel : {0, 7, 20}) {
      problem.affinity[channel].zero_();
      problem.affinity.select(1, channel).zero_();
      expected[static_cast<std::size_t>(channel)] = 2;
    }
    number_by_first_channel(expected);
    const Clustering result = run(problem.affinity, 3);
    EXPECT_EQ(result.labels, expected);
    const Clustering automatic = run(problem.affinity, 0);
    EXPECT_EQ(automatic.labels, expected);
  }
}

TEST_P(EveryMethodAtTheEdge, AFewIsolatedChannelsJoinTheLargestGroup) {
  Planted problem = planted({10, 20}, 2);
  problem.affinity[4].zero_();
  problem.affinity.select(1, 4).zero_();
  const Clustering result = run(problem.affinity, 2);
  EXPECT_EQ(result.groups, 2);
  Labels expected = problem.truth;
  const std::vector<std::int64_t> sizes = sizes_of(expected, 2);
  expected[4] = sizes[0] > sizes[1] ? 0 : 1;
  number_by_first_channel(expected);
  EXPECT_EQ(result.labels, expected);
}

TEST_P(EveryMethodAtTheEdge, OneGroupTakesEverything) {
  torch::Tensor affinity = random_affinity(20, 3);
  affinity[3].zero_();
  affinity.select(1, 3).zero_();
  const Clustering result = run(affinity, 1, 1);
  EXPECT_EQ(result.groups, 1);
  EXPECT_EQ(result.silhouette, 0.0);
  EXPECT_NEAR(result.mean_affinity[0], affinity.sum().item<double>() / 380.0, 1e-6);
}

TEST_P(EveryMethodAtTheEdge, RefusesMoreGroupsThanChannels) {
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [] {
                         static_cast<void>(run(at::zeros({3, 3}), 4));
                       }),
              HasSubstr("4 groups for 3 channels; expected at most 3"));
}

INSTANTIATE_TEST_SUITE_P(, EveryMethodAtTheEdge,
                         testing::Values("spectral", "hierarchical", "kmeans"),
                         [](const auto& name) { return std::string(name.param); });

TEST(ClusterAffinity, RefusesNumbersThatAreNoAffinities) {
  torch::Tensor affinity = random_affinity(5, 4);
  const auto run = [&] { static_cast<void>(cluster_affinity(affinity, {.groups = 2})); };
  affinity[1][2] = -0.5;
  EXPECT_THAT(error_of(ErrorKind::kNumeric, run), HasSubstr("between -0.5 and"));
  affinity[1][2] = 1.5;
  EXPECT_THAT(error_of(ErrorKind::kNumeric, run), HasSubstr("and 1.5; expected numbers in [0, 1]"));
  affinity[1][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of(ErrorKind::kNumeric, run), HasSubstr("nan"));
}

TEST(ClusterAffinity, RefusesOtherShapesAndTypes) {
  const torch::Tensor affinity = random_affinity(5, 5);
  for (const torch::Tensor& wrong :
       {affinity.narrow(0, 0, 4), affinity.to(torch::kFloat64), at::zeros({0, 0})}) {
    static_cast<void>(error_of(ErrorKind::kInternal,
                               [&] { static_cast<void>(cluster_affinity(wrong, {.groups = 2})); }));
  }
}

TEST(Methods, NamesWhatThereIs) {
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { static_cast<void>(parse_method("ward")); }),
              HasSubstr("'ward'; expected spectral, hierarchical or kmeans"));
}

}  // namespace
}  // namespace sgpt_mi::cluster
