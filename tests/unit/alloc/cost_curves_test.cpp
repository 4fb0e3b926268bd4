#include "sgpt_mi/alloc/cost_curves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/temporary_folder.h"

namespace sgpt_mi::alloc {
namespace {

using Menu = std::vector<CurvePoint>;

TEST(CostCurves, MenusAndRange) {
  CostCurves curves;
  EXPECT_EQ(curves.units(), 0U);
  EXPECT_EQ(curves.smallest_step(), 0);
  curves.add(Menu{{4, 1.0}});
  EXPECT_EQ(curves.smallest_step(), 0);
  curves.add(Menu{{10, 3.0}, {15, 2.0}, {17, 2.0}});
  curves.add(Menu{{0, 3.0}, {3, 1.0}});
  EXPECT_EQ(curves.units(), 3U);
  EXPECT_EQ(curves[1].size(), 3U);
  EXPECT_EQ(curves[1][2].cost, 17);
  EXPECT_EQ(curves[2][0].loss, 3.0);
  EXPECT_EQ(curves.range().least, 14);
  EXPECT_EQ(curves.range().most, 24);
  EXPECT_EQ(curves.smallest_step(), 2);
}

TEST(CostCurves, RefusesDisorder) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Menu& menu :
       {Menu{}, Menu{{-1, 0.0}}, Menu{{3, 1.0}, {3, 0.5}}, Menu{{3, 1.0}, {4, 1.5}}, Menu{{3, nan}},
        Menu{{3, 1.0}, {4, nan}}, Menu(65536, {0, 0.0})}) {
    EXPECT_THAT(test::error_of(ErrorKind::kInternal, [&] { CostCurves().add(menu); }),
                testing::StartsWith("alloc: unit 0 has "));
  }
  CostCurves curves;
  curves.add(Menu{{std::int64_t{1} << 62, 0.0}});
  EXPECT_THAT(test::error_of(ErrorKind::kInternal,
                             [&] {
                               curves.add(Menu{{1, 0.0}});
                             }),
              testing::HasSubstr("2^62"));
}

TEST(Undominated, KeepsTheLowerLeftStaircase) {
  const Menu points{{5, 1.0}, {2, 3.0}, {2, 2.0}, {3, 2.0}, {9, 0.5}, {7, 1.5}, {2, 2.0}};
  EXPECT_EQ(undominated(points), (std::vector<std::size_t>{2, 0, 4}));
  EXPECT_TRUE(undominated({}).empty());
  const Menu bad{{5, std::numeric_limits<double>::infinity()}};
  (void)test::error_of(ErrorKind::kInternal, [&] { (void)undominated(bad); });
}

}  // namespace
}  // namespace sgpt_mi::alloc
