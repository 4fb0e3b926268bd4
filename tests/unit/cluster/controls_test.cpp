#include "sgpt_mi/cluster/controls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::cluster {
namespace {

using sgpt_mi::test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ContiguousGroups, SizesDifferByAtMostOne) {
  const Clustering groups = contiguous_groups(8, 3);
  EXPECT_THAT(groups.labels, ElementsAre(0, 0, 0, 1, 1, 1, 2, 2));
  EXPECT_THAT(groups.sizes, ElementsAre(3, 3, 2));
  EXPECT_EQ(groups.groups, 3);
  EXPECT_THAT(groups.mean_affinity, ElementsAre(0.0, 0.0, 0.0));
}

TEST(SortedGroups, LargestKeysFirstAndTiesByChannel) {
  constexpr std::array<double, 6> kKeys{1.0, 5.0, 1.0, 9.0, 1.0, -2.0};
  EXPECT_THAT(sorted_groups(kKeys, 3).labels, ElementsAre(1, 0, 1, 0, 2, 2));
}

TEST(SortedGroups, NamesAKeyThatIsNoNumber) {
  const std::array<double, 3> keys{1.0, 2.0, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THAT(error_of(ErrorKind::kNumeric, [&] { static_cast<void>(sorted_groups(keys, 2)); }),
              HasSubstr("key of channel 2 is NaN"));
}

TEST(RandomGroups, FollowTheSeed) {
  const Clustering first = random_groups(100, 7, 1);
  EXPECT_EQ(first.labels, random_groups(100, 7, 1).labels);
  EXPECT_NE(first.labels, random_groups(100, 7, 2).labels);
  EXPECT_NE(first.labels, contiguous_groups(100, 7).labels);
  EXPECT_EQ(first.sizes, contiguous_groups(100, 7).sizes);
}

TEST(RandomGroups, AreEven) {
  // How often channel 0 falls into the first of two halves: 1000 draws, deviation 16.
  int first = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    first += random_groups(10, 2, seed).labels[0] == 0 ? 1 : 0;
  }
  EXPECT_NEAR(first, 500, 64);
}

TEST(Controls, RefuseGroupsThatWouldBeEmpty) {
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { static_cast<void>(contiguous_groups(3, 4)); }),
              HasSubstr("4 groups for 3 channels; expected 1 to 3"));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { static_cast<void>(random_groups(3, 0, 1)); }),
              HasSubstr("0 groups for 3 channels"));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { static_cast<void>(sorted_groups({}, 1)); }),
              HasSubstr("1 groups for 0 channels"));
}

}  // namespace
}  // namespace sgpt_mi::cluster
