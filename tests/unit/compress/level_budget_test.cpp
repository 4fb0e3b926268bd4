#include "compress/level_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::compress {
namespace {

using testing::HasSubstr;

constexpr std::size_t kColumns = 64;

/// 1/2 log2(1 + (size / step)^2) bits: levels of Gaussian weights of a size.
double gauss_bits(double size, double step) {
  return 0.5 * std::log2(1.0 + std::pow(size / step, 2.0));
}

/// A plan of linears "0", "1" ... of 32, 64 ... rows, whose weights have these sizes.
planning::RdPlan plan_of(const std::vector<double>& sizes, double bits_a_weight) {
  planning::RdPlan plan;
  double weights = 0.0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    planning::LinearChoice choice;
    choice.row_weight.assign(32 * (i + 1), 1.0);
    choice.unit_of_column.assign(kColumns, 0);
    for (int point = 0; point < 20; ++point) {
      const double step = 0.01 * sizes[i] * std::exp2(0.5 * point);
      choice.levels.points.push_back({step, gauss_bits(sizes[i], step), step * step});
    }
    weights += static_cast<double>(choice.row_weight.size() * kColumns);
    plan.linears.emplace(std::to_string(i), choice);
  }
  plan.level_bits = static_cast<std::int64_t>(bits_a_weight * weights);
  return plan;
}

/// What a linear takes at a step.
using Taken = std::function<double(std::size_t linear, double step)>;

/// A model whose linears are compressed one after the other.
struct Model {
  std::vector<double> sizes;
  Taken beyond;  ///< bits a weight beyond the curve

  [[nodiscard]] std::int64_t bits_of(std::size_t linear, double step) const {
    const auto rows = static_cast<double>(32 * (linear + 1));
    const double weights = rows * static_cast<double>(kColumns);
    const double bits =
        std::max(0.0, gauss_bits(sizes[linear], step) + beyond(linear, step)) * weights;
    return static_cast<std::int64_t>(bits + 16.0 * (rows + static_cast<double>(kColumns)));
  }
};

struct Outcome {
  std::int64_t bits = 0;
  std::vector<double> steps;  ///< that each linear ended with
  std::vector<int> tries;
};

Outcome run(const Model& model, const planning::RdPlan& plan) {
  LevelBudget budget(plan);
  Outcome outcome;
  for (std::size_t i = 0; i < model.sizes.size(); ++i) {
    const std::string name = std::to_string(i);
    for (int tries = 1;; ++tries) {
      const double step = budget.step_for(name);
      const std::int64_t bits = model.bits_of(i, step);
      if (!budget.accepts(name, bits)) continue;
      budget.settle(name, step, bits);
      outcome.bits += bits;
      outcome.steps.push_back(step);
      outcome.tries.push_back(tries);
      break;
    }
  }
  return outcome;
}

const std::vector<double> kSizes{1.0, 3.0, 0.5, 2.0, 1.5, 0.2, 1.0, 4.0};

void expect_full(const Outcome& outcome, const planning::RdPlan& plan) {
  EXPECT_LE(outcome.bits, plan.level_bits);
  EXPECT_GE(static_cast<double>(outcome.bits), 0.999 * static_cast<double>(plan.level_bits));
  for (std::size_t i = 0; i + 1 < outcome.tries.size(); ++i) {
    EXPECT_EQ(outcome.tries[i], 1) << "only the last one is tried again";
  }
}

TEST(LevelBudget, GivesAllOneStepWhereTheCurvesAreRight) {
  const Model model{kSizes, [](std::size_t, double) { return 0.0; }};
  for (const double bits : {1.5, 3.0, 6.0}) {
    const planning::RdPlan plan = plan_of(kSizes, bits);
    const Outcome outcome = run(model, plan);
    expect_full(outcome, plan);
    // Curves are straight lines between points half an octave apart: near those, not equal.
    for (const double step : outcome.steps) {
      EXPECT_NEAR(step / outcome.steps.front(), 1.0, 0.05) << bits;
    }
  }
}

TEST(LevelBudget, GoesOnWithTheStepsOfARunThatWasNotInterrupted) {
  const Model model{kSizes, [](std::size_t i, double) { return i % 2 == 0 ? 0.2 : -0.1; }};
  const planning::RdPlan plan = plan_of(kSizes, 3.0);
  const Outcome whole = run(model, plan);
  for (std::size_t done = 1; done < kSizes.size(); ++done) {
    LevelBudget budget(plan);
    for (std::size_t i = 0; i < done; ++i) {
      budget.settle(std::to_string(i), whole.steps[i], model.bits_of(i, whole.steps[i]));
    }
    if (done + 1 < kSizes.size()) {
      EXPECT_EQ(budget.step_for(std::to_string(done)), whole.steps[done]) << done;
    }
  }
}

TEST(LevelBudget, IsMetWhateverTheLinearsTakeBeyondTheirCurves) {
  const std::vector<Taken> errors{[](std::size_t, double) { return 0.15; },
                                  [](std::size_t, double) { return -0.15; },
                                  [](std::size_t i, double) { return i % 2 == 0 ? 0.3 : -0.2; },
                                  // A little noise, different at every step that is tried.
                                  [](std::size_t i, double step) {
                                    return 0.02 * std::sin(1e4 * step + static_cast<double>(i));
                                  }};
  for (std::size_t e = 0; e < errors.size(); ++e) {
    for (const double bits : {1.5, 3.0, 6.0}) {
      SCOPED_TRACE(testing::Message() << "error " << e << ", " << bits << " bits");
      const planning::RdPlan plan = plan_of(kSizes, bits);
      expect_full(run({kSizes, errors[e]}, plan), plan);
    }
  }
}

TEST(LevelBudget, BelievesOtherLinearsOfWhatTheFirstTookBeyondTheirCurves) {
  const planning::RdPlan plan = plan_of(kSizes, 3.0);
  const Outcome right = run({kSizes, [](std::size_t, double) { return 0.0; }}, plan);
  const Outcome more = run({kSizes, [](std::size_t, double) { return 0.25; }}, plan);
  EXPECT_EQ(more.steps[0], right.steps[0]) << "nothing is known yet";
  // A quarter of a bit is a factor of 2^0.25 in the step, and the last ones make up for the first.
  for (std::size_t i = 3; i < kSizes.size(); ++i) {
    EXPECT_NEAR(std::log2(more.steps[i] / right.steps[i]), 0.25, 0.1) << i;
  }
}

TEST(LevelBudget, TriesTheLastLinearUntilTheSumFits) {
  const planning::RdPlan plan = plan_of(kSizes, 3.0);
  const auto last = kSizes.size() - 1;
  for (const double beyond : {0.7, -0.7}) {
    const Outcome outcome =
        run({kSizes, [&](std::size_t i, double) { return i == last ? beyond : 0.0; }}, plan);
    expect_full(outcome, plan);
    EXPECT_GT(outcome.tries.back(), 1);
    EXPECT_LE(outcome.tries.back(), 12);
  }
}

TEST(LevelBudget, KeepsTheFinestStepThatFittedWhereBitsJump) {
  // The last linear takes 5,000 bits more or less at once: nothing comes close to the budget.
  const planning::RdPlan plan = plan_of(kSizes, 3.0);
  const auto last = kSizes.size() - 1;
  const double jump = 5000.0 / (32.0 * static_cast<double>(kSizes.size() * kColumns));
  const double at = run({kSizes, [](std::size_t, double) { return 0.0; }}, plan).steps.back();
  const Model model{kSizes, [&](std::size_t i, double step) {
                      return i == last ? (step < at * 1.001 ? jump : -jump) : 0.0;
                    }};
  const Outcome outcome = run(model, plan);
  EXPECT_LE(outcome.bits, plan.level_bits);
  EXPECT_GE(outcome.bits, plan.level_bits - 11'000);
}

TEST(LevelBudget, OneLinearAloneIsTheLastOne) {
  const planning::RdPlan plan = plan_of({1.0}, 2.0);
  expect_full(run({{1.0}, [](std::size_t, double) { return 0.2; }}, plan), plan);
}

TEST(LevelBudget, ASizeThatNoStepReachesIsRefused) {
  const planning::RdPlan plan = plan_of(kSizes, 3.0);
  // The last linear never takes less than 9 bits a weight.
  const auto last = kSizes.size() - 1;
  const Model model{kSizes, [&](std::size_t i, double step) {
                      return i == last ? 9.0 - gauss_bits(kSizes[i], step) : 0.0;
                    }};
  const std::string message =
      test::error_of(ErrorKind::kNumeric, [&] { static_cast<void>(run(model, plan)); });
  EXPECT_THAT(message, HasSubstr("levels of 7 take"));
  EXPECT_THAT(message, HasSubstr("ask for a larger size"));
}

TEST(LevelBudget, KnowsItsLinears) {
  const planning::RdPlan plan = plan_of({1.0, 1.0}, 3.0);
  LevelBudget budget(plan);
  const auto refusal = [&](const std::string& name) {
    return test::error_of(ErrorKind::kInternal, [&] { (void)budget.step_for(name); });
  };
  EXPECT_THAT(refusal("2"), HasSubstr("not planned"));
  budget.settle("0", 1.0, 1000);
  EXPECT_THAT(refusal("0"), HasSubstr("not planned, or done"));
}

}  // namespace
}  // namespace sgpt_mi::compress
