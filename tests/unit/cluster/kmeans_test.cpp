#include "cluster/kmeans.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "planted.h"
#include "support/random_tensor.h"

namespace sgpt_mi::cluster {
namespace {

KMeansResult run(const torch::Tensor& points, std::int64_t groups, std::int64_t restarts = 10,
                 std::uint64_t seed = 0) {
  KMeansProblem problem{points.to(torch::kFloat64).contiguous(), {}, groups, restarts};
  problem.order.resize(static_cast<std::size_t>(points.size(0)));
  std::iota(problem.order.begin(), problem.order.end(), std::int64_t{0});
  PythonRandom random(seed);
  return kmeans(problem, random);
}

TEST(KMeans, ByHand) {
  const KMeansResult found = run(at::tensor({0.0, 1.0, 10.0, 14.0}).unsqueeze(1), 2);
  Labels labels = found.labels;
  number_by_first_channel(labels);
  EXPECT_THAT(labels, testing::ElementsAre(0, 0, 1, 1));
  EXPECT_DOUBLE_EQ(found.inertia, 2 * 0.25 + 2 * 4.0);
  EXPECT_DOUBLE_EQ(found.centers.sum().item<double>(), 0.5 + 12.0);
}

TEST(KMeans, EndsAtAFixedPoint) {
  const torch::Tensor points = sgpt_mi::test::normal(200, 3, 1).to(torch::kFloat64);
  const KMeansResult found = run(points, 6);
  const torch::Tensor labels = at::tensor(found.labels, torch::kInt64);
  double inertia = 0.0;
  for (std::int64_t g = 0; g < 6; ++g) {
    const torch::Tensor own = points.index_select(0, labels.eq(g).nonzero().flatten());
    EXPECT_LE((own.mean(0) - found.centers[g]).abs().max().item<double>(), 1e-12);
    inertia += (own - found.centers[g]).square().sum().item<double>();
  }
  EXPECT_NEAR(found.inertia, inertia, 1e-9);
  const torch::Tensor distance = (points.unsqueeze(1) - found.centers.unsqueeze(0)).square().sum(2);
  EXPECT_TRUE(distance.argmin(1).equal(labels));
}

TEST(KMeans, RestartsNeverMakeItWorse) {
  const torch::Tensor points = sgpt_mi::test::normal(150, 2, 2);
  double before = run(points, 8, 1).inertia;
  for (const std::int64_t restarts : {2, 5, 20}) {
    const double inertia = run(points, 8, restarts).inertia;
    EXPECT_LE(inertia, before);
    before = inertia;
  }
  EXPECT_LT(before, run(points, 8, 1).inertia);
}

TEST(KMeans, NoGroupIsEmptyAmongEqualPoints) {
  // Three different points for five groups.
  const torch::Tensor points = at::arange(30).remainder(3).to(torch::kFloat64).unsqueeze(1);
  for (const std::uint64_t seed : {0, 1, 2, 3}) {
    const KMeansResult found = run(points, 5, 3, seed);
    EXPECT_EQ(std::set<std::int32_t>(found.labels.begin(), found.labels.end()).size(), 5U);
    EXPECT_EQ(found.inertia, 0.0);
  }
}

TEST(KMeans, AsManyGroupsAsPoints) {
  const KMeansResult found = run(sgpt_mi::test::normal(9, 2, 3), 9);
  EXPECT_EQ(std::set<std::int32_t>(found.labels.begin(), found.labels.end()).size(), 9U);
  EXPECT_EQ(found.inertia, 0.0);
}

TEST(KMeans, DrawsFollowTheOrderGiven) {
  const torch::Tensor points = sgpt_mi::test::normal(80, 2, 4);
  const std::vector<std::int64_t> order = test::random_order(80, 5);
  KMeansProblem problem{points.to(torch::kFloat64).contiguous(), order, 7, 1};
  PythonRandom random(9);
  const Labels labels = kmeans(problem, random).labels;
  const KMeansResult moved = run(points.index_select(0, at::tensor(order, torch::kInt64)), 7, 1, 9);
  EXPECT_EQ(test::permuted(labels, order), test::permuted(moved.labels, [] {
              std::vector<std::int64_t> same(80);
              std::iota(same.begin(), same.end(), std::int64_t{0});
              return same;
            }()));
}

TEST(KMeans, ThreadsDoNotChangeTheLabels) {
  const torch::Tensor points = sgpt_mi::test::normal(3000, 4, 6);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Labels one = run(points, 5, 2).labels;
  at::set_num_threads(3);
  const Labels three = run(points, 5, 2).labels;
  at::set_num_threads(before);
  EXPECT_EQ(one, three);
}

}  // namespace
}  // namespace sgpt_mi::cluster
