// What allocate() promises, on thousands of random problems.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "brute_force.h"
#include "sgpt_mi/alloc/allocate.h"

namespace sgpt_mi::alloc {
namespace {

// Losses here are sums of at most 60 terms below 6 in size.
constexpr double kRounding = 60 * 60 * 6 * 2.3e-16;

void expect_consistent(const CostCurves& curves, const Allocation& result, std::int64_t budget) {
  const Choice choice = priced(curves, result.choice);
  EXPECT_EQ(choice.cost, result.cost);
  EXPECT_NEAR(choice.loss, result.loss, kRounding);
  EXPECT_LE(result.cost, budget);
  EXPECT_FALSE(some_step_fits(curves, result.choice, budget - result.cost));
  EXPECT_LE(result.loss_bound, result.loss);
}

TEST(AllocateProperties, SmallProblemsAgainstEveryChoice) {
  std::mt19937 engine(1);
  for (int trial = 0; trial < 4000; ++trial) {
    SCOPED_TRACE(trial);
    const CostCurves curves = random_curves(engine, 6, 5, 40);
    const CostRange range = curves.range();
    const std::int64_t budget = draw(engine, range.least, range.most + 3);
    const Allocation result = allocate(curves, budget);
    expect_consistent(curves, result, budget);
    const std::vector<Choice> all = all_choices(curves);
    const double least = least_loss(all, -1, budget);
    EXPECT_LE(result.loss_bound, least + kRounding);
    AllocateOptions least_only;
    least_only.close = false;
    EXPECT_NEAR(allocate(curves, budget, least_only).loss, least, kRounding);
    const double least_close = least_loss(all, budget - curves.smallest_step(), budget);
    if (std::isfinite(least_close)) {
      EXPECT_NEAR(result.loss, least_close, kRounding);
      EXPECT_TRUE(budget - result.cost < curves.smallest_step());
    } else {
      EXPECT_NEAR(result.loss, least, kRounding);
    }
  }
}

// Without exchange the loss passes the optimum by at most what the first hull step that did not fit
// would save, and a budget that the hull steps use up gives the optimum itself.
TEST(AllocateProperties, HullStepsStayWithinTheirGap) {
  std::mt19937 engine(2);
  AllocateOptions options;
  options.exchange_units = 0;
  int exact = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    SCOPED_TRACE(trial);
    const CostCurves curves = random_curves(engine, 6, 5, 10);
    const CostRange range = curves.range();
    const std::int64_t budget = draw(engine, range.least, range.most);
    const Allocation result = allocate(curves, budget, options);
    expect_consistent(curves, result, budget);
    double largest_saving = 0.0;
    for (std::size_t u = 0; u < curves.units(); ++u) {
      largest_saving = std::max(largest_saving, curves[u].front().loss - curves[u].back().loss);
    }
    EXPECT_LE(result.loss, result.loss_bound + largest_saving + kRounding);
    const double least = least_loss(all_choices(curves), -1, budget);
    EXPECT_LE(result.loss_bound, least + kRounding);
    if (result.loss - result.loss_bound > kRounding) continue;
    EXPECT_NEAR(result.loss, least, kRounding);
    ++exact;
  }
  EXPECT_GT(exact, 500);  // the last branch was taken
}

// The greatest value of  min over choices of (loss + price * cost) - price * budget  over all
// prices: it is reached at the slope between two entries of one menu, or at 0.
double dual_optimum(const CostCurves& curves, std::int64_t budget) {
  std::vector<double> prices{0.0};
  for (std::size_t u = 0; u < curves.units(); ++u) {
    for (const CurvePoint& a : curves[u]) {
      for (const CurvePoint& b : curves[u]) {
        if (b.cost <= a.cost) continue;
        prices.push_back((a.loss - b.loss) / static_cast<double>(b.cost - a.cost));
      }
    }
  }
  double greatest = -std::numeric_limits<double>::infinity();
  for (const double price : prices) {
    double value = -price * static_cast<double>(budget);
    for (std::size_t u = 0; u < curves.units(); ++u) {
      double least = std::numeric_limits<double>::infinity();
      for (const CurvePoint& point : curves[u]) {
        least = std::min(least, point.loss + price * static_cast<double>(point.cost));
      }
      value += least;
    }
    greatest = std::max(greatest, value);
  }
  return greatest;
}

TEST(AllocateProperties, LossBoundIsTheOptimumOverMultipliers) {
  std::mt19937 engine(4);
  for (int trial = 0; trial < 1000; ++trial) {
    SCOPED_TRACE(trial);
    const CostCurves curves = random_curves(engine, 40, 5, 30);
    const std::int64_t budget = draw(engine, curves.range().least, curves.range().most - 1);
    const Allocation result = allocate(curves, budget);
    // The dual's rounding error grows with price * budget: prices are at most 1, budgets 6000.
    EXPECT_NEAR(result.loss_bound, dual_optimum(curves, budget), 6000 * 40 * 2.3e-16);
  }
}

// Units of unequal sizes at widths 2, 3, 4, 6, 8: where any choice leaves less than one step of the
// smallest unit, the one found does, too.
TEST(AllocateProperties, MediumProblemsCloseWhereAnyChoiceDoes) {
  std::mt19937 engine(3);
  int close = 0;
  for (int trial = 0; trial < 500; ++trial) {
    SCOPED_TRACE(trial);
    const std::int64_t largest = draw(engine, 1, 400);
    CostCurves curves;
    for (std::int64_t u = draw(engine, 2, 60); u > 0; --u) {
      const std::int64_t weights = draw(engine, 1, largest);
      const double loss = static_cast<double>(weights) * std::exp(4.0 * draw_share(engine));
      std::vector<CurvePoint> menu;
      for (const int bits : {2, 3, 4, 6, 8}) {
        menu.push_back({weights * bits, std::ldexp(loss, -2 * bits)});
      }
      curves.add(menu);
    }
    const std::int64_t budget = draw(engine, curves.range().least, curves.range().most);
    const Allocation result = allocate(curves, budget);
    EXPECT_LE(result.cost, budget);
    EXPECT_FALSE(some_step_fits(curves, result.choice, budget - result.cost));
    if (budget - result.cost < curves.smallest_step()) {
      ++close;
      continue;
    }
    EXPECT_LE(greatest_cost(curves, budget), budget - curves.smallest_step());
  }
  EXPECT_GT(close, 300);  // most of them were close
}

}  // namespace
}  // namespace sgpt_mi::alloc
