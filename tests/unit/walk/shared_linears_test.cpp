#include "sgpt_mi/walk/shared_linears.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sgpt_mi::walk {
namespace {

using model::LinearInfo;
using model::Site;

/// A block in the shape of SmolLM2's.
std::vector<LinearInfo> block() {
  return {{"q", "q", Site::kAttentionIn, 576, 576},  {"k", "k", Site::kAttentionIn, 192, 576},
          {"v", "v", Site::kAttentionIn, 192, 576},  {"o", "o", Site::kAttentionOut, 576, 576},
          {"gate", "gate", Site::kMlpIn, 1536, 576}, {"up", "up", Site::kMlpIn, 1536, 576},
          {"down", "down", Site::kMlpOut, 576, 1536}};
}

TEST(SharedLinears, OneRankHasAll) { EXPECT_EQ(share_linears(block(), 1), std::vector<int>(7, 0)); }

TEST(SharedLinears, TheDearestIsAlone) {
  const std::vector<int> ranks = share_linears(block(), 2);
  EXPECT_EQ(std::count(ranks.begin(), ranks.end(), ranks[6]), 1);
}

TEST(SharedLinears, EveryLinearHasARankAndNoRankIsIdleWithoutNeed) {
  for (int count = 1; count <= 9; ++count) {
    const std::vector<int> ranks = share_linears(block(), count);
    for (int rank = 0; rank < std::min(count, 7); ++rank) {
      EXPECT_NE(std::find(ranks.begin(), ranks.end(), rank), ranks.end())
          << rank << " of " << count;
    }
  }
}

TEST(SharedLinears, OfNoLinearsAreNone) { EXPECT_TRUE(share_linears({}, 3).empty()); }

TEST(SharedLinears, FewerThanRanksAreSharedByTheirRows) {
  const std::vector<model::LinearInfo> all = block();
  EXPECT_FALSE(share_rows(all, 1, 1));
  EXPECT_FALSE(share_rows(all, 7, 1));
  EXPECT_TRUE(share_rows(all, 8, 1));
  EXPECT_FALSE(share_rows(all, 8, 0)) << "rows that are not to be shared";
  model::LinearInfo one = all.front();
  one.rows = 257;
  EXPECT_TRUE(share_rows({one}, 2, 128)) << "alone, although there are not more ranks";
  EXPECT_TRUE(share_rows({one}, 3, 128));
  EXPECT_FALSE(share_rows({one}, 4, 128)) << "a rank without rows";
  EXPECT_FALSE(share_rows({}, 4, 128));
}

}  // namespace
}  // namespace sgpt_mi::walk
