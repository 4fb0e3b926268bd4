#include "cluster/hierarchical.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "planted.h"

namespace sgpt_mi::cluster {
namespace {

/// Average linkage by its definition: the two clusters with the least mean distance over all pairs
/// of members merge, until `groups` are left.
struct PlainLinkage {
  std::vector<double> heights;
  Labels labels;
};

PlainLinkage plain_average_linkage(const torch::Tensor& distance, std::int64_t groups) {
  std::vector<std::vector<std::int64_t>> clusters;
  for (std::int64_t i = 0; i < distance.size(0); ++i) clusters.push_back({i});
  const auto accessor = distance.accessor<float, 2>();
  const auto mean = [&](const auto& a, const auto& b) {
    double sum = 0.0;
    for (const auto i : a) {
      for (const auto j : b) sum += static_cast<double>(accessor[i][j]);
    }
    return sum / static_cast<double>(a.size() * b.size());
  };
  PlainLinkage result;
  while (static_cast<std::int64_t>(clusters.size()) > groups) {
    double least = std::numeric_limits<double>::infinity();
    std::pair<std::size_t, std::size_t> best;
    for (std::size_t a = 0; a < clusters.size(); ++a) {
      for (std::size_t b = a + 1; b < clusters.size(); ++b) {
        const double height = mean(clusters[a], clusters[b]);
        if (height < least) std::tie(least, best) = std::pair(height, std::pair(a, b));
      }
    }
    result.heights.push_back(least);
    auto& into = clusters[best.first];
    into.insert(into.end(), clusters[best.second].begin(), clusters[best.second].end());
    clusters.erase(clusters.begin() + static_cast<std::ptrdiff_t>(best.second));
  }
  result.labels.resize(static_cast<std::size_t>(distance.size(0)));
  for (std::size_t g = 0; g < clusters.size(); ++g) {
    for (const auto i : clusters[g]) {
      result.labels[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(g);
    }
  }
  number_by_first_channel(result.labels);
  return result;
}

Labels numbered(Labels labels) {
  number_by_first_channel(labels);
  return labels;
}

TEST(AverageLinkage, MatchesItsDefinition) {
  constexpr std::int64_t kCount = 40;
  const torch::Tensor distance = 1.0 - test::random_affinity(kCount, 1);
  const std::vector<Merge> merges = average_linkage(distance.clone());
  ASSERT_EQ(merges.size(), 39U);
  const PlainLinkage plain = plain_average_linkage(distance, 1);
  for (std::size_t m = 0; m < merges.size(); ++m) {
    // Each of up to 39 updates rounds to float32.
    EXPECT_NEAR(merges[m].height, plain.heights[m], 40.0 * std::numeric_limits<float>::epsilon());
  }
  for (const std::int64_t groups : {1, 2, 5, 17, 40}) {
    EXPECT_EQ(numbered(cut_tree(merges, groups, 1)),
              plain_average_linkage(distance, groups).labels);
  }
}

TEST(AverageLinkage, ByHand) {
  // On a line at 0, 1, 5, 7: (0 1) at 1, (5 7) at 2, all at (5 + 7 + 4 + 6) / 4.
  const torch::Tensor place = at::tensor({0.0F, 1.0F, 5.0F, 7.0F});
  const std::vector<Merge> merges =
      average_linkage((place.unsqueeze(0) - place.unsqueeze(1)).abs().contiguous());
  ASSERT_EQ(merges.size(), 3U);
  EXPECT_EQ(merges[0].height, 1.0F);
  EXPECT_EQ(merges[1].height, 2.0F);
  EXPECT_EQ(merges[2].height, 5.5F);
  EXPECT_THAT(numbered(cut_tree(merges, 2, 1)), testing::ElementsAre(0, 0, 1, 1));
}

TEST(AverageLinkage, ManyTiesAndOnePoint) {
  EXPECT_EQ(average_linkage(at::ones({30, 30})).size(), 29U);
  EXPECT_TRUE(average_linkage(at::zeros({1, 1})).empty());
  EXPECT_THAT(cut_tree({}, 1, 2), testing::ElementsAre(0));
}

TEST(CutTree, LooksForGroupsOfTheSmallestSize) {
  // Two pairs and, far away, one outlier: two clusters would be the outlier and the rest.
  const torch::Tensor place = at::tensor({0.0F, 1.0F, 10.0F, 11.0F, 100.0F});
  const std::vector<Merge> merges =
      average_linkage((place.unsqueeze(0) - place.unsqueeze(1)).abs().contiguous());
  EXPECT_THAT(numbered(cut_tree(merges, 2, 1)), testing::ElementsAre(0, 0, 0, 0, 1));
  EXPECT_THAT(numbered(cut_tree(merges, 2, 2)), testing::ElementsAre(0, 0, 1, 1, 2));
  // There are never three such groups: the last level with the most.
  EXPECT_THAT(numbered(cut_tree(merges, 3, 2)), testing::ElementsAre(0, 0, 1, 1, 2));
}

}  // namespace
}  // namespace sgpt_mi::cluster
