#include "sgpt_mi/ranks/lane_sum.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/thread_ranks.h"

namespace sgpt_mi::ranks {
namespace {

/// Values whose float32 sum depends on the order.
torch::Tensor value_of(std::int64_t lane) {
  return torch::full({3}, (lane % 2 == 0 ? 1.0F : 1e-7F) * static_cast<float>(lane + 1)) *
         torch::tensor({1.0F, -3.7F, 1e6F});
}

LaneFigures total(std::int64_t units, int ranks) {
  LaneFigures of_leader;
  test::on_ranks(ranks, [&](const World& world) {
    const Lanes lanes(units, world.size());
    LaneSum sum(world, lanes, torch::kCPU);
    const Range mine = lanes.lanes_of_rank(world.rank());
    for (std::int64_t lane = mine.first; lane < mine.end; ++lane) {
      sum.add({{value_of(lane), torch::Tensor()},
               {torch::full({1}, static_cast<float>((7 * lane) % 5))}});
    }
    const LaneFigures figures = sum.finish();
    EXPECT_FALSE(figures.sums[1].defined());
    if (world.leads()) of_leader = figures;
  });
  return of_leader;
}

TEST(LaneSum, AddsLanesInTheirOrderForEveryNumberOfRanks) {
  torch::Tensor expected = value_of(0);
  for (std::int64_t lane = 1; lane < 11; ++lane) expected = expected + value_of(lane);
  for (int ranks = 1; ranks <= 12; ++ranks) {
    EXPECT_TRUE(total(11, ranks).sums[0].equal(expected)) << ranks << " ranks";
  }
}

TEST(LaneSum, DoesNotDependOnTheNumberOfRanks) {
  for (const std::int64_t units : {1, 2, 3, 6, 11, 16}) {
    const LaneFigures one = total(units, 1);
    for (int ranks = 2; ranks <= 6; ++ranks) {
      const LaneFigures several = total(units, ranks);
      EXPECT_TRUE(several.sums[0].equal(one.sums[0])) << units << " units, " << ranks << " ranks";
      EXPECT_TRUE(several.maxima[0].equal(one.maxima[0]));
    }
  }
}

TEST(LaneSum, LargestOfAllLanesCounts) {
  EXPECT_EQ(total(3, 2).maxima[0].item<float>(), 4.0F);  // 0, 7 % 5, 14 % 5
}

TEST(LaneSum, EveryRankHasTheTotal) {
  test::on_ranks(3, [&](const World& world) {
    const Lanes lanes(3, 3);
    LaneSum sum(world, lanes, torch::kCPU);
    sum.add({{torch::ones({2}) * (world.rank() + 1)}, {}});
    EXPECT_EQ(sum.finish().sums[0][1].item<float>(), 6.0F);
  });
}

TEST(LaneSum, BytesAreThoseOfTheDocumentedCount) {
  std::vector<std::int64_t> received(4);
  test::on_ranks(4, [&](const World& world) {
    const Lanes lanes(8, 4);
    LaneSum sum(world, lanes, torch::kCPU);
    const Range mine = lanes.lanes_of_rank(world.rank());
    for (std::int64_t lane = mine.first; lane < mine.end; ++lane) {
      sum.add({{torch::ones({256, 256})}, {}});
    }
    static_cast<void>(sum.finish());
    received[static_cast<std::size_t>(world.rank())] = world.received();
  });
  const std::int64_t all = received[0] + received[1] + received[2] + received[3];
  const std::int64_t tensors = (3 + 3) * 256 * 256 * 4;  // three are passed on, three told
  EXPECT_GE(all, tensors);
  EXPECT_LE(all, tensors + 2000);
}

}  // namespace
}  // namespace sgpt_mi::ranks
