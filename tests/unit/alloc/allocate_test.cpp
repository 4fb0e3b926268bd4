#include "sgpt_mi/alloc/allocate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "brute_force.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::alloc {
namespace {

using Menu = std::vector<CurvePoint>;
using Entries = std::vector<std::uint16_t>;

AllocateOptions without_exchange() {
  AllocateOptions options;
  options.exchange_units = 0;
  return options;
}

// Two units; the second saves more per bit at first.
CostCurves two_units() {
  CostCurves curves;
  curves.add(Menu{{10, 8.0}, {20, 4.0}, {30, 3.0}});
  curves.add(Menu{{10, 9.0}, {20, 3.0}, {30, 2.5}});
  return curves;
}

TEST(Allocate, TakesTheBestStepsFirst) {
  const CostCurves curves = two_units();
  EXPECT_EQ(allocate(curves, 20).choice, (Entries{0, 0}));
  EXPECT_EQ(allocate(curves, 30).choice, (Entries{0, 1}));
  EXPECT_EQ(allocate(curves, 40).choice, (Entries{1, 1}));
  EXPECT_EQ(allocate(curves, 50).choice, (Entries{2, 1}));
  const Allocation all = allocate(curves, 60);
  EXPECT_EQ(all.choice, (Entries{2, 2}));
  EXPECT_EQ(all.loss, 5.5);
}

TEST(Allocate, ReportsCostLossAndBound) {
  const Allocation result = allocate(two_units(), 45);
  EXPECT_EQ(result.choice, (Entries{1, 1}));
  EXPECT_EQ(result.cost, 40);
  EXPECT_EQ(result.loss, 7.0);
  EXPECT_DOUBLE_EQ(result.loss_bound, 7.0 - 0.1 * 5);  // half of the step that saves 0.1 a bit
}

TEST(Allocate, FixedCostIsPartOfTheBudget) {
  AllocateOptions options;
  options.fixed_cost = 100;
  const Allocation result = allocate(two_units(), 130, options);
  EXPECT_EQ(result.choice, (Entries{0, 1}));
  EXPECT_EQ(result.cost, 130);
  EXPECT_EQ(allocate(two_units(), 1000, options).cost, 160);
}

TEST(Allocate, EqualUnitsAreRaisedFromTheFirst) {
  CostCurves curves;
  for (int u = 0; u < 5; ++u) curves.add(Menu{{2, 4.0}, {3, 2.0}, {4, 1.0}});
  EXPECT_EQ(allocate(curves, 12).choice, (Entries{1, 1, 0, 0, 0}));
  EXPECT_EQ(allocate(curves, 17).choice, (Entries{2, 2, 1, 1, 1}));
}

TEST(Allocate, PointsAboveTheHullServeToFill) {
  CostCurves curves;
  curves.add(Menu{{0, 10.0}, {4, 9.0}, {10, 0.0}});  // 4 lies above the hull
  EXPECT_EQ(allocate(curves, 10).choice, (Entries{2}));
  EXPECT_EQ(allocate(curves, 9).choice, (Entries{1}));
  EXPECT_EQ(allocate(curves, 3).choice, (Entries{0}));
}

TEST(Allocate, ExchangeClosesWhatSingleStepsCannot) {
  CostCurves curves;
  curves.add(Menu{{0, 100.0}, {7, 50.0}, {14, 49.9}});
  curves.add(Menu{{0, 60.0}, {10, 20.0}});
  curves.add(Menu{{0, 0.5}, {1, 0.0}});
  // By slope: 7 of the first, 10 of the second do not fit into 13; 1 of the third; 5 remain.
  const Allocation filled = allocate(curves, 13, without_exchange());
  EXPECT_EQ(filled.choice, (Entries{1, 0, 1}));
  EXPECT_EQ(filled.cost, 8);
  // No sum is in (12, 13]: 0, 7, 14 + 0, 10 + 0, 1. The loss decides: 110.5 at 8.
  EXPECT_EQ(allocate(curves, 13).choice, (Entries{1, 0, 1}));
  // 11 = 10 + 1 is: less loss at 8, but three bits remained.
  EXPECT_EQ(allocate(curves, 11, without_exchange()).cost, 8);
  EXPECT_EQ(allocate(curves, 11).choice, (Entries{0, 1, 1}));
  AllocateOptions least_loss;
  least_loss.close = false;
  EXPECT_EQ(allocate(curves, 11, least_loss).choice, (Entries{1, 0, 1}));
}

TEST(Allocate, MenusMayMixKindsOfPoints) {
  // (bits, sparsity) pairs as points: what is dominated is left out, the rest needs no convexity.
  const Menu points{{400, 5.0}, {300, 6.0}, {350, 7.0}, {800, 1.0}, {600, 1.5}};
  const std::vector<std::size_t> kept = undominated(points);
  EXPECT_EQ(kept, (std::vector<std::size_t>{1, 0, 4, 3}));
  CostCurves curves;
  for (int u = 0; u < 3; ++u) {
    Menu menu;
    for (const std::size_t i : kept) menu.push_back(points[i]);
    curves.add(menu);
  }
  EXPECT_EQ(allocate(curves, 1500).choice, (Entries{2, 2, 0}));
}

TEST(Allocate, UnitsWithoutChoiceAndNoUnits) {
  CostCurves curves;
  EXPECT_TRUE(allocate(curves, 0).choice.empty());
  curves.add(Menu{{5, 1.0}});
  EXPECT_EQ(allocate(curves, 5).choice, (Entries{0}));
  EXPECT_EQ(allocate(curves, 6).cost, 5);
  curves.add(Menu{{5, 1.0}, {6, 1.0}});  // a step that saves nothing is taken too
  EXPECT_EQ(allocate(curves, 11).cost, 11);
}

TEST(Allocate, RefusesABudgetBelowTheLeast) {
  AllocateOptions options;
  options.fixed_cost = 7;
  EXPECT_EQ(test::error_of(ErrorKind::kUsage, [&] { (void)allocate(two_units(), 26, options); }),
            "alloc: the budget is 26 bits, and the least that any plan takes is 27; the nearest "
            "possible budget is 27 bits");
  EXPECT_EQ(allocate(two_units(), 27, options).cost, 27);
}

}  // namespace
}  // namespace sgpt_mi::alloc
