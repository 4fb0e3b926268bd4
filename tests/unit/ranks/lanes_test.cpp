#include "sgpt_mi/ranks/lanes.h"

#include <gtest/gtest.h>

namespace sgpt_mi::ranks {
namespace {

TEST(Lanes, EveryUnitIsInOneLaneAndEveryLaneIsOneRanks) {
  for (std::int64_t units = 1; units <= 40; ++units) {
    for (int ranks = 1; ranks <= 20; ++ranks) {
      const Lanes lanes(units, ranks);
      ASSERT_EQ(lanes.count(), std::min<std::int64_t>(units, 16));
      std::int64_t unit = 0;
      for (std::int64_t lane = 0; lane < lanes.count(); ++lane) {
        const Range range = lanes.units_of_lane(lane);
        ASSERT_EQ(range.first, unit);
        ASSERT_GE(range.count(), 1);
        unit = range.end;
      }
      ASSERT_EQ(unit, units);
      std::int64_t lane = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const Range range = lanes.lanes_of_rank(rank);
        ASSERT_EQ(range.first, lane);
        for (; lane < range.end; ++lane) ASSERT_EQ(lanes.rank_of_lane(lane), rank);
      }
      ASSERT_EQ(lane, lanes.count());
    }
  }
}

TEST(Lanes, LanesAreTheSameForEveryNumberOfRanks) {
  const Lanes one(32, 1);
  const Lanes three(32, 3);
  for (std::int64_t lane = 0; lane < one.count(); ++lane) {
    EXPECT_EQ(one.units_of_lane(lane).first, three.units_of_lane(lane).first);
  }
}

TEST(Lanes, RankZeroHasLaneZeroEvenWhereThereAreMoreRanksThanLanes) {
  const Lanes lanes(3, 8);
  EXPECT_TRUE(lanes.lanes_of_rank(0).contains(0));
  int idle = 0;
  for (int rank = 0; rank < 8; ++rank) idle += lanes.units_of_rank(rank).count() == 0 ? 1 : 0;
  EXPECT_EQ(idle, 5);
}

}  // namespace
}  // namespace sgpt_mi::ranks
