#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/alloc/bit_plan.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::alloc {
namespace {

std::vector<int> widths(const ThresholdRule& rule, const std::vector<double>& importances) {
  std::vector<Unit> units;
  units.reserve(importances.size());
  for (const double importance : importances) units.push_back({1, importance});
  return plan_threshold(units, rule).bits;
}

TEST(Threshold, BoundsAreStrict) {
  EXPECT_EQ(widths(importance_thresholds(), {0.16, 0.15, 0.11, 0.10, 0.06, 0.05, 0.03, 0.02, 0.0}),
            (std::vector<int>{8, 6, 6, 4, 4, 3, 3, 2, 2}));
  EXPECT_EQ(widths(importance_thresholds({0.30, 0.20, 0.10, 0.05}), {0.3, 0.31, 0.05, 0.051}),
            (std::vector<int>{6, 8, 2, 3}));
  EXPECT_EQ(widths(importance_thresholds({1.0}, {4, 5}), {1.0, 1.1}), (std::vector<int>{4, 5}));
  EXPECT_EQ(widths(importance_thresholds({}, {4}), {0.0, 9.0}), (std::vector<int>{4, 4}));
}

TEST(Threshold, ContributionRule) {
  EXPECT_EQ(widths(contribution_thresholds(), {1.3, 1.2, 0.7, 0.5, 0.49, 0.0}),
            (std::vector<int>{8, 4, 4, 4, 2, 2}));
  EXPECT_EQ(widths(contribution_thresholds(2.0, 1.0), {2.1, 1.0, 0.9}),
            (std::vector<int>{8, 4, 2}));
}

TEST(Threshold, ReportsTheAverageByWeights) {
  const std::vector<Unit> units{{30, 1.0}, {10, 0.0}};
  const BitPlan plan = plan_threshold(units, importance_thresholds());
  EXPECT_EQ(plan.weights, 40);
  EXPECT_EQ(plan.cost_bits, 260);
  EXPECT_EQ(plan.average_bits, 6.5);
  EXPECT_TRUE(plan.warning.empty());
}

// Importances with mean 1, as the five terms give them, are nearly all above 0.15.
TEST(Threshold, FixedBoundsMissATargetByFar) {
  std::vector<Unit> units;
  for (int i = 0; i < 1000; ++i) units.push_back({4, 0.001 * (2 * i + 1)});
  const BitPlan plan = plan_threshold(units, importance_thresholds());
  EXPECT_GT(plan.average_bits, 7.5);
}

TEST(Threshold, RefusesRulesOutOfOrder) {
  const auto message = [](const std::vector<double>& bounds, const std::vector<int>& levels) {
    return test::error_of(ErrorKind::kUsage, [&] { (void)importance_thresholds(bounds, levels); });
  };
  EXPECT_EQ(message({0.1, 0.2, 0.05, 0.02}, kDefaultLevels),
            "alloc: threshold 2 is 0.2; expected finite thresholds from the highest to the lowest");
  EXPECT_THAT(message({0.1, 0.1, 0.05, 0.02}, kDefaultLevels), testing::HasSubstr("threshold 2"));
  EXPECT_THAT(message({std::nan(""), 0.1}, {2, 3, 4}), testing::HasSubstr("threshold 1 is nan"));
  EXPECT_EQ(message({0.1}, kDefaultLevels),
            "alloc: 1 thresholds for 5 widths; expected one threshold fewer than widths");
  EXPECT_THAT(message({0.1}, {4, 2}), testing::HasSubstr("the levels are [4, 2]"));
  (void)test::error_of(ErrorKind::kUsage, [] { (void)contribution_thresholds(0.5, 0.5); });
  EXPECT_THAT(test::error_of(ErrorKind::kUsage,
                             [] {
                               ThresholdRule{{{1.0, 9}}, 2}.validate();
                             }),
              testing::HasSubstr("leads to 9 bits"));
  EXPECT_THAT(test::error_of(ErrorKind::kUsage,
                             [] {
                               ThresholdRule{{}, 1}.validate();
                             }),
              testing::HasSubstr("lowest width is 1"));
}

TEST(Threshold, RefusesImportancesThatAreNone) {
  for (const double bad : {-0.1, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const std::vector<Unit> units{{1, 1.0}, {1, bad}};
    EXPECT_THAT(test::error_of(ErrorKind::kNumeric,
                               [&] { (void)plan_threshold(units, importance_thresholds()); }),
                testing::HasSubstr("unit 1 has importance"));
  }
}

}  // namespace
}  // namespace sgpt_mi::alloc
