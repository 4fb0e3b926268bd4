#include "sgpt_mi/alloc/bit_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "brute_force.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::alloc {
namespace {

using Widths = std::vector<int>;

std::vector<Unit> equal_units(const std::vector<double>& importances, std::int64_t weights = 10) {
  std::vector<Unit> units;
  units.reserve(importances.size());
  for (const double importance : importances) units.push_back({weights, importance});
  return units;
}

BitTarget average_target(std::span<const Unit> units, double bits_per_weight) {
  std::int64_t weights = 0;
  for (const Unit& unit : units) weights += unit.weights;
  return {budget_bits_of(bits_per_weight, weights), 0, {}};
}

TEST(BudgetBits, AverageNeverPassesTheTarget) {
  EXPECT_EQ(budget_bits_of(4.0, 1000), 4000);
  EXPECT_EQ(budget_bits_of(4.0005, 1000), 4000);
  EXPECT_EQ(budget_bits_of(0.0, 1000), 0);
  std::mt19937 engine(1);
  for (int trial = 0; trial < 5000; ++trial) {
    const std::int64_t weights = draw(engine, 1, 4000000000);
    const std::int64_t bits = draw(engine, 2 * weights, 8 * weights);
    const double target = static_cast<double>(bits) / static_cast<double>(weights);
    EXPECT_EQ(budget_bits_of(target, weights), bits) << target << " " << weights;
  }
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THAT(test::error_of(ErrorKind::kUsage, [&] { (void)budget_bits_of(bad, 10); }),
                testing::HasSubstr("expected a number from 2 to 8"));
  }
}

// A target that the equal shares meet exactly leaves them as they are.
TEST(Quantile, EqualShares) {
  const auto units = equal_units({0.1, 0.9, 0.3, 0.5, 0.7, 0.2, 0.8, 0.4, 0.6, 1.0});
  const BitPlan plan = plan_quantile(units, kDefaultLevels, average_target(units, 4.6));
  EXPECT_EQ(plan.bits, (Widths{2, 8, 3, 4, 6, 2, 6, 3, 4, 8}));
  EXPECT_EQ(plan.average_bits, 4.6);
  EXPECT_EQ(plan_quantile(units, {3, 4}, average_target(units, 3.5)).bits,
            (Widths{3, 4, 3, 3, 4, 3, 4, 3, 4, 4}));
}

TEST(Quantile, SharesAreOfWeights) {
  // The middle of each unit's weights: 40 of 100, 85, 95.
  const std::vector<Unit> units{{80, 0.1}, {10, 0.2}, {10, 0.3}};
  EXPECT_EQ(plan_quantile(units, kDefaultLevels, average_target(units, 4.8)).bits,
            (Widths{4, 8, 8}));
}

TEST(Quantile, EqualImportancesFavourTheFirst) {
  const auto units = equal_units({1, 1, 1, 1, 1});
  EXPECT_EQ(plan_quantile(units, kDefaultLevels, average_target(units, 4.6)).bits,
            (Widths{8, 6, 4, 3, 2}));
}

TEST(Quantile, LowersFromTheLeastImportantUp) {
  const auto units = equal_units({1, 2, 3, 4, 5});  // equal shares: 2 3 4 6 8
  const auto bits = [&](double target) {
    return plan_quantile(units, kDefaultLevels, average_target(units, target)).bits;
  };
  EXPECT_EQ(bits(4.6), (Widths{2, 3, 4, 6, 8}));
  EXPECT_EQ(bits(4.4), (Widths{2, 2, 4, 6, 8}));
  EXPECT_EQ(bits(4.2), (Widths{2, 2, 3, 6, 8}));
  EXPECT_EQ(bits(3.8), (Widths{2, 2, 3, 4, 8}));
  EXPECT_EQ(bits(2.0), (Widths{2, 2, 2, 2, 2}));
}

TEST(Quantile, RaisesFromTheMostImportantDown) {
  const auto units = equal_units({1, 2, 3, 4, 5});
  const auto bits = [&](double target) {
    return plan_quantile(units, kDefaultLevels, average_target(units, target)).bits;
  };
  EXPECT_EQ(bits(5.0), (Widths{2, 3, 4, 8, 8}));
  EXPECT_EQ(bits(5.4), (Widths{2, 3, 6, 8, 8}));
  EXPECT_EQ(bits(5.6), (Widths{2, 4, 6, 8, 8}));
  EXPECT_EQ(bits(8.0), (Widths{8, 8, 8, 8, 8}));
}

TEST(Budget, AQuarterOfTheImportanceIsOneBitLess) {
  const auto units = equal_units({64, 16, 4, 1});
  const auto bits = [&](double target) {
    return plan_budget(units, {2, 3, 4, 5, 6, 7, 8}, average_target(units, target)).bits;
  };
  EXPECT_EQ(bits(3.5), (Widths{5, 4, 3, 2}));
  EXPECT_EQ(bits(4.5), (Widths{6, 5, 4, 3}));
  EXPECT_EQ(bits(6.5), (Widths{8, 7, 6, 5}));
}

TEST(Budget, EqualImportancesStayTogether) {
  const auto units = equal_units(std::vector<double>(100, 1.0));
  EXPECT_EQ(plan_budget(units, kDefaultLevels, average_target(units, 4.0)).bits, Widths(100, 4));
}

TEST(Budget, UnitsWithoutImportanceAreRaisedLast) {
  const auto units = equal_units({0.0, 1.0, 0.0});
  const auto bits = [&](double target) {
    return plan_budget(units, kDefaultLevels, average_target(units, target)).bits;
  };
  EXPECT_EQ(bits(4.0), (Widths{2, 8, 2}));
  EXPECT_EQ(bits(4.4), (Widths{3, 8, 2}));
  EXPECT_EQ(bits(8.0), (Widths{8, 8, 8}));
}

TEST(Budget, CountsWhatIsStored) {
  // Rows of codes are padded to bytes and every unit keeps 16 bits of scale.
  const auto units = equal_units({1.0, 3.0}, 12);
  const BitTarget target{8 * 20, 24, [](std::size_t, int bits) {
                           return static_cast<std::int64_t>((12 * bits + 7) / 8 * 8 + 16);
                         }};
  // 160 - 24 - 2 * 16 = 104 bits of codes: 40 at 3 bits and 64 at 5 fit exactly.
  const BitPlan plan = plan_budget(units, {2, 3, 4, 5}, target);
  EXPECT_EQ(plan.bits, (Widths{3, 5}));
  EXPECT_EQ(plan.cost_bits, 160);
  EXPECT_EQ(plan.average_bits, 4.0);
}

TEST(BitPlan, TargetBelowTheNarrowestPlanIsRefused) {
  const std::vector<Unit> units{{3, 1.0}, {4, 1.0}};
  EXPECT_EQ(
      test::error_of(
          ErrorKind::kUsage,
          [&] { (void)require_reachable(units, kDefaultLevels, average_target(units, 1.9)); }),
      "alloc: the target is 1.8571 bits a weight (2 bytes), below the narrowest plan; the "
      "nearest possible target is 2 bits a weight (2 bytes)");
  // 14 + 11 bits of 7 weights: 3.571428..., shown so that it is accepted again.
  const BitTarget stored{24, 11, {}};
  EXPECT_THAT(
      test::error_of(ErrorKind::kUsage, [&] { (void)plan_budget(units, kDefaultLevels, stored); }),
      testing::HasSubstr("nearest possible target is 3.5715 bits a weight (4 bytes)"));
  EXPECT_EQ(budget_bits_of(3.5715, 7), 25);
  (void)test::error_of(ErrorKind::kUsage,
                       [&] { (void)plan_quantile(units, kDefaultLevels, stored); });
  const CostRange range = require_reachable(units, kDefaultLevels, {25, 11, {}});
  EXPECT_EQ(range.least, 25);
  EXPECT_EQ(range.most, 67);
}

TEST(BitPlan, TargetAboveTheWidestPlanIsCapped) {
  const auto units = equal_units({1.0, 2.0});
  for (const BitPlan& plan : {plan_budget(units, {2, 4}, average_target(units, 5.0)),
                              plan_quantile(units, {2, 4}, average_target(units, 5.0))}) {
    EXPECT_EQ(plan.bits, (Widths{4, 4}));
    EXPECT_EQ(plan.warning,
              "alloc: the target is 5.0000 bits a weight (13 bytes); the widest plan takes only "
              "4.0000 (10 bytes): every unit has 4 bits");
  }
  EXPECT_TRUE(plan_budget(units, {2, 4}, average_target(units, 4.0)).warning.empty());
}

TEST(BitPlan, LevelsAreChecked) {
  const auto units = equal_units({1.0});
  for (const Widths& levels : {Widths{}, Widths{1, 2}, Widths{2, 9}, Widths{2, 2}, Widths{4, 3}}) {
    EXPECT_THAT(test::error_of(ErrorKind::kUsage,
                               [&] {
                                 (void)plan_quantile(units, levels, {100, 0, {}});
                               }),
                testing::HasSubstr("expected different widths from 2 to 8"));
    EXPECT_THAT(test::error_of(ErrorKind::kUsage,
                               [&] {
                                 (void)plan_budget(units, levels, {100, 0, {}});
                               }),
                testing::HasSubstr("expected different widths from 2 to 8"));
  }
  EXPECT_EQ(plan_budget(units, {5}, {50, 0, {}}).bits, (Widths{5}));
}

TEST(BitPlan, UnitsAreChecked) {
  const std::vector<Unit> none;
  const std::vector<Unit> empty{{0, 1.0}};
  const std::vector<Unit> bad{{10, std::nan("")}};
  for (const auto& units : {none, empty}) {
    (void)test::error_of(ErrorKind::kInternal, [&] {
      (void)plan_budget(units, kDefaultLevels, {100, 0, {}});
    });
    (void)test::error_of(ErrorKind::kInternal, [&] {
      (void)plan_quantile(units, kDefaultLevels, {100, 0, {}});
    });
  }
  (void)test::error_of(ErrorKind::kNumeric, [&] {
    (void)plan_budget(bad, kDefaultLevels, {100, 0, {}});
  });
  (void)test::error_of(ErrorKind::kNumeric, [&] {
    (void)plan_quantile(bad, kDefaultLevels, {100, 0, {}});
  });
}

CostCurves costs_alone(std::span<const Unit> units) {
  CostCurves curves;
  for (const Unit& unit : units) {
    std::vector<CurvePoint> menu;
    for (const int bits : kDefaultLevels) menu.push_back({unit.weights * bits, 0.0});
    curves.add(menu);
  }
  return curves;
}

void expect_hard_cap(std::span<const Unit> units, double target, std::int64_t budget,
                     const BitPlan& plan) {
  EXPECT_LE(plan.average_bits, target);
  const CostCurves curves = costs_alone(units);
  std::vector<std::uint16_t> entries;
  for (const int bits : plan.bits) {
    const auto level = std::find(kDefaultLevels.begin(), kDefaultLevels.end(), bits);
    ASSERT_NE(level, kDefaultLevels.end());
    entries.push_back(static_cast<std::uint16_t>(level - kDefaultLevels.begin()));
  }
  EXPECT_EQ(priced(curves, entries).cost, plan.cost_bits);
  EXPECT_LE(plan.cost_bits, budget);
  EXPECT_FALSE(some_step_fits(curves, entries, budget - plan.cost_bits));
  if (budget - plan.cost_bits < curves.smallest_step()) return;
  EXPECT_LE(greatest_cost(curves, budget), budget - curves.smallest_step());
}

// Both rules with a budget: at most the target; no unit's next step fits; closer than one step of
// the smallest unit wherever any assignment of widths is.
TEST(BitPlanProperties, HardCapAndCloseness) {
  std::mt19937 engine(3);
  for (int trial = 0; trial < 2000; ++trial) {
    SCOPED_TRACE(trial);
    const std::int64_t largest = draw(engine, 1, 60);
    std::vector<Unit> units;
    for (std::int64_t u = draw(engine, 1, 40); u > 0; --u) {
      const std::int64_t weights = draw(engine, 1, largest);
      units.push_back({weights, std::exp(4.0 * draw_share(engine))});
    }
    const double target = 2.0 + 6.0 * draw_share(engine);
    const BitTarget budget = average_target(units, target);
    expect_hard_cap(units, target, budget.budget_bits, plan_budget(units, kDefaultLevels, budget));
    expect_hard_cap(units, target, budget.budget_bits,
                    plan_quantile(units, kDefaultLevels, budget));
  }
}

// Among equally large units a more important one never has fewer bits: swapping the two would cost
// nothing and save loss, and a problem of this size is solved exactly.
TEST(BitPlanProperties, WidthsFollowImportanceAmongEqualUnits) {
  std::mt19937 engine(4);
  for (int trial = 0; trial < 1000; ++trial) {
    SCOPED_TRACE(trial);
    std::vector<double> importances;
    for (std::int64_t u = draw(engine, 2, 40); u > 0; --u)
      importances.push_back(draw_share(engine));
    std::sort(importances.begin(), importances.end());
    const auto units = equal_units(importances);
    const double target = 2.0 + 6.0 * draw_share(engine);
    const BitPlan plan = plan_budget(units, kDefaultLevels, average_target(units, target));
    EXPECT_TRUE(std::is_sorted(plan.bits.begin(), plan.bits.end()));
  }
}

}  // namespace
}  // namespace sgpt_mi::alloc
