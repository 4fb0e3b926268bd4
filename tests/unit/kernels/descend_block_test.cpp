#include "sgpt_mi/kernels/descend_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "descend_problem.h"
#include "sgpt_mi/core/error.h"
#include "support/descent_reference.h"
#include "support/threads.h"
#include "whole_levels.h"

namespace sgpt_mi::kernels {
namespace {

using test::DescentReference;

/// Objective of a row: 1/2 (q - w0) H (q - w0)^T, and threshold / 2 for every weight that is not 0.
/// With levels: what their costs say of the first, and their prices.
double objective(const Problem& problem, std::int64_t row) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < problem.width(); ++j) {
    for (std::int64_t k = 0; k < problem.width(); ++k) {
      sum += static_cast<double>(problem.weight(row, j) - problem.target(row, j)) *
             static_cast<double>(problem.hessian(j, k)) *
             static_cast<double>(problem.weight(row, k) - problem.target(row, k));
    }
    if (problem.weight(row, j) != 0.0F) sum += static_cast<double>(problem.threshold);
  }
  if (!problem.levels) return 0.5 * sum;
  const test::BlockLevels& levels = *problem.levels;
  const double step = levels.row_step[static_cast<std::size_t>(row)];
  sum *= levels.row_cost[static_cast<std::size_t>(row)] / (step * step);
  for (std::int64_t j = 0; j < problem.width(); ++j) {
    const float level = std::nearbyint(problem.weight(row, j) / levels.step(row, j));
    sum += levels.price_of(row, j, std::abs(level));
  }
  return sum;
}

template <typename T>
Matrix<T> converted(const Matrix<float>& from) {
  Matrix<T> to(from.rows(), from.columns());
  for (std::int64_t i = 0; i < from.rows(); ++i) {
    for (std::int64_t j = 0; j < from.columns(); ++j) to(i, j) = static_cast<T>(from(i, j));
  }
  return to;
}

template <typename T>
DescentReference<T> reference_of(const Problem& problem) {
  Matrix<bool> pruned(problem.rows(), problem.width());
  for (std::int64_t r = 0; r < pruned.rows(); ++r) {
    for (std::int64_t j = 0; j < pruned.columns(); ++j) pruned(r, j) = problem.pruned(r, j);
  }
  DescentReference<T> reference{
      converted<T>(problem.weight),
      converted<T>(problem.gradient),
      converted<T>(problem.hessian),
      pruned,
      problem.support,
      static_cast<T>(problem.threshold),
      problem.pattern,
      converted<T>(problem.scale),
      converted<T>(problem.zero),
      problem.group_of_column,
      {problem.max_code_of_group.begin(), problem.max_code_of_group.end()},
      {problem.rows(), problem.width()},
      problem.levels ? &*problem.levels : nullptr};
  reference.run();
  return reference;
}

TEST(DescendBlock, TwoColumnsByHand) {
  Problem problem = make_empty(2, 2);
  problem.hessian(0, 0) = 2.0F;
  problem.hessian(0, 1) = problem.hessian(1, 0) = 1.0F;
  problem.hessian(1, 1) = 4.0F;
  for (std::int64_t r = 0; r < 2; ++r) {
    problem.target(r, 0) = 3.0F;
    problem.target(r, 1) = 5.0F;
  }
  problem.pruned(1, 0) = true;
  problem.find_gradient();  // -11, -23
  problem.run();
  EXPECT_EQ(problem.weight(0, 0), 5.5F);    // 11 / 2
  EXPECT_EQ(problem.weight(0, 1), 4.375F);  // (23 - 5.5) / 4
  EXPECT_EQ(problem.weight(1, 0), 0.0F);
  EXPECT_EQ(problem.weight(1, 1), 5.75F);  // 23 / 4
  EXPECT_EQ(problem.gradient(0, 1), -23.0F) << "the gradient is only read";
}

TEST(DescendBlock, AScoreAtTheThresholdIsPruned) {
  Problem problem = make_empty(1, 3);
  problem.hessian(0, 0) = 2.0F;
  for (std::int64_t j = 0; j < 3; ++j) problem.target(0, j) = static_cast<float>(j + 1);
  problem.find_gradient();
  problem = with_threshold(problem, 2.0F);  // scores 2, 4, 9
  problem.run();
  EXPECT_EQ(problem.weight(0, 0), 0.0F);
  EXPECT_TRUE(problem.pruned(0, 0));
  EXPECT_EQ(problem.weight(0, 1), 2.0F);
  EXPECT_FALSE(problem.pruned(0, 1));
  EXPECT_EQ(problem.weight(0, 2), 3.0F);
}

TEST(DescendBlock, RoundsToTheGridAndReturnsCodes) {
  Problem problem = make_empty(1, 3);
  problem.target(0, 0) = 0.75F;  // 1.5 scales, to even: 2
  problem.target(0, 1) = -9.0F;  // clamped to code 0
  problem.target(0, 2) = 1.0F;
  problem.find_gradient();
  problem = with_grid(problem);
  problem.scale(0, 0) = 0.5F;
  problem.zero(0, 0) = 2.0F;
  for (std::int64_t j = 0; j < 3; ++j) problem.pruned(0, j) = j == 2;
  problem.run();
  EXPECT_EQ(problem.codes(0, 0), 4);
  EXPECT_EQ(problem.weight(0, 0), 1.0F);
  EXPECT_EQ(problem.codes(0, 1), 0);
  EXPECT_EQ(problem.weight(0, 1), -1.0F);
  EXPECT_EQ(problem.codes(0, 2), 2) << "the zero point";
  EXPECT_EQ(problem.weight(0, 2), 0.0F);
}

TEST(DescendBlock, RoundsToThePricedLevelAndLeavesCodesAlone) {
  Problem problem = make_empty(1, 4);
  for (std::int64_t j = 0; j < 4; ++j) problem.target(0, j) = 1.4F;  // 2.8 steps
  problem.find_gradient();
  problem = with_levels(problem);
  for (std::int64_t j = 0; j < 4; ++j) problem.pruned(0, j) = j == 3;
  problem.levels->row_step = {0.25F};
  problem.levels->column_step.assign(4, 2.0F);
  problem.levels->row_cost = {1.0F};
  problem.levels->column_cost.assign(4, 1.0F);
  problem.levels->row_table = {0};
  problem.levels->column_table = {0, 1, 2, 0};
  problem.levels->price.assign(3, std::vector<float>(32, 1.0F));
  problem.levels->price[1][2] = 0.3F;   // saves more than 0.8^2 - 0.2^2 = 0.6
  problem.levels->price[2][0] = -7.0F;  // saves more than 2.8^2 - 0.2^2 = 7.8
  problem.run();
  EXPECT_EQ(problem.weight(0, 0), 1.5F) << "the nearest";
  EXPECT_EQ(problem.weight(0, 1), 1.0F) << "the next one toward 0";
  EXPECT_EQ(problem.weight(0, 2), 0.0F);
  EXPECT_EQ(problem.weight(0, 3), 0.0F) << "pruned";
  for (std::int64_t j = 0; j < 4; ++j) EXPECT_EQ(problem.codes(0, j), 77);
}

TEST(DescendBlock, CodesAgreeWithValues) {
  Problem problem = with_grid(make_problem(45, 24, 20));
  problem.run();
  for (std::int64_t r = 0; r < 45; ++r) {
    for (std::int64_t j = 0; j < 24; ++j) {
      const std::int32_t group = problem.group_of_column[static_cast<std::size_t>(j)];
      const auto code = static_cast<float>(problem.codes(r, j));
      ASSERT_EQ(problem.weight(r, j), problem.scale(r, group) * (code - problem.zero(r, group)));
      ASSERT_TRUE(!problem.pruned(r, j) || problem.weight(r, j) == 0.0F);
    }
  }
}

TEST(DescendBlock, OneOfTwoFindsTheBetterSupport) {
  constexpr std::int64_t kRows = 200;
  Problem problem = with_pattern(make_problem(kRows, 2, 21), {1, 2});
  for (std::int64_t r = 0; r < kRows; r += 2) {  // half of the rows start from the other support
    problem.pruned(r, 0) = false;
    problem.pruned(r, 1) = true;
  }
  problem.run();
  int first_kept = 0;
  for (std::int64_t r = 0; r < kRows; ++r) {
    // Without weight k, the best q_j leaves 1/2 w_k^2 (H_kk - H_kj^2 / H_jj).
    const auto without = [&](std::int64_t k) {
      const double coupling = problem.hessian(k, 1 - k);
      const double weight = problem.target(r, k);
      return 0.5 * weight * weight *
             (problem.hessian(k, k) - coupling * coupling / problem.hessian(1 - k, 1 - k));
    };
    const double best = std::fmin(without(0), without(1));
    EXPECT_NEAR(objective(problem, r), best, 1e-5 * best + 1e-12) << "row " << r;
    first_kept += problem.pruned(r, 1) ? 1 : 0;
  }
  EXPECT_GT(first_kept, 20);
  EXPECT_LT(first_kept, kRows - 20);
}

TEST(DescendBlock, EqualExchangesTakeTheLowestColumns) {
  Problem kept = with_pattern(make_empty(1, 3), {1, 3});
  const float one_small[] = {1.0F, 1.0F, 2.0F};
  for (std::int64_t j = 0; j < 3; ++j) {
    kept.target(0, j) = one_small[j];
    kept.pruned(0, j) = j == 2;
  }
  kept.find_gradient();
  kept.run();
  EXPECT_TRUE(kept.pruned(0, 0));
  EXPECT_FALSE(kept.pruned(0, 1));
  EXPECT_EQ(kept.weight(0, 2), 2.0F);

  Problem pruned = with_pattern(make_empty(1, 3), {2, 3});
  const float two_large[] = {1.0F, 2.0F, 2.0F};
  for (std::int64_t j = 0; j < 3; ++j) {
    pruned.target(0, j) = two_large[j];
    pruned.pruned(0, j) = j != 0;
  }
  pruned.find_gradient();
  pruned.run();
  EXPECT_EQ(pruned.weight(0, 1), 2.0F);
  EXPECT_TRUE(pruned.pruned(0, 2));
}

TEST(DescendBlock, EqualsThePlainLoopBitForBit) {
  for (const std::int64_t rows : {1, 31, 32, 33, 70}) {
    for (const std::int64_t width : {1, 12, 24}) {
      for (Problem& problem : every_kind(rows, width, 5)) {
        SCOPED_TRACE(testing::Message() << rows << " x " << width << ", support "
                                        << static_cast<int>(problem.support));
        const DescentReference<float> reference = reference_of<float>(problem);
        problem.run();
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t j = 0; j < problem.width(); ++j) {
            ASSERT_EQ(problem.weight(r, j), reference.weight(r, j)) << r << ", " << j;
            ASSERT_EQ(problem.pruned(r, j), reference.pruned(r, j)) << r << ", " << j;
            if (problem.group_of_column.empty()) continue;
            ASSERT_EQ(problem.codes(r, j), reference.codes(r, j)) << r << ", " << j;
          }
        }
      }
    }
  }
}

TEST(DescendBlock, IsCloseToTheLoopInDoublePrecision) {
  for (Problem& problem : every_kind(40, 60, 8)) {
    SCOPED_TRACE(static_cast<int>(problem.support));
    const DescentReference<double> exact = reference_of<double>(problem);
    problem.run();
    // Each of up to 60 updates rounds a gradient no larger than the row's largest, and a weight is
    // off by its gradient's error over H_jj.
    double least_diagonal = HUGE_VAL;
    for (std::int64_t j = 0; j < 60; ++j) {
      least_diagonal = std::fmin(least_diagonal, problem.hessian(j, j));
    }
    for (std::int64_t r = 0; r < 40; ++r) {
      double largest = 0.0;
      for (std::int64_t j = 0; j < 60; ++j) {
        largest = std::fmax(largest, std::abs(problem.gradient(r, j)));
      }
      const double tolerance =
          4.0 * 60.0 * std::numeric_limits<float>::epsilon() * largest / least_diagonal;
      for (std::int64_t j = 0; j < 60; ++j) {
        ASSERT_EQ(problem.pruned(r, j), exact.pruned(r, j)) << r << ", " << j;
        ASSERT_NEAR(problem.weight(r, j), exact.weight(r, j), tolerance) << r << ", " << j;
      }
    }
  }
}

TEST(DescendBlock, SweepsNeverRaiseTheObjective) {
  for (Problem& problem : every_kind(50, 36, 9)) {
    SCOPED_TRACE(static_cast<int>(problem.support));
    std::vector<double> before;
    for (std::int64_t r = 0; r < 50; ++r) before.push_back(objective(problem, r));
    const std::vector<double> start = before;
    for (int sweep = 0; sweep < 6; ++sweep) {
      problem.run();
      problem.find_gradient();
      for (std::int64_t r = 0; r < 50; ++r) {
        const auto row = static_cast<std::size_t>(r);
        const double after = objective(problem, r);
        // Q = 0 at the start, so `start` is the size of the terms that the descent adds and rounds.
        const double rounding = 36.0 * std::numeric_limits<float>::epsilon() * start[row];
        EXPECT_LE(after, before[row] + rounding) << "sweep " << sweep << ", row " << r;
        before[row] = after;
      }
    }
    for (std::size_t r = 0; r < 50; ++r) EXPECT_LT(before[r], start[r]);
  }
}

TEST(DescendBlock, ThresholdSweepsSettleWhereNoSingleChangeHelps) {
  Problem problem = with_threshold(make_problem(40, 24, 10), 0.5F);
  for (int sweep = 0; sweep < 300; ++sweep) {
    problem.run();
    problem.find_gradient();
  }
  int pruned = 0;
  for (std::int64_t r = 0; r < 40; ++r) {
    for (std::int64_t j = 0; j < 24; ++j) {
      const float diagonal = problem.hessian(j, j);
      const float optimum = problem.weight(r, j) - problem.gradient(r, j) / diagonal;
      const float score = diagonal * optimum * optimum;
      pruned += problem.pruned(r, j) ? 1 : 0;
      EXPECT_EQ(problem.pruned(r, j), problem.weight(r, j) == 0.0F);
      if (problem.pruned(r, j)) {
        EXPECT_LE(score, 0.5F * 1.0001F);
      } else {
        EXPECT_GE(score, 0.5F * 0.9999F);
        EXPECT_NEAR(problem.weight(r, j), optimum, 1e-5F);
      }
    }
  }
  EXPECT_GT(pruned, 100);
  EXPECT_LT(pruned, 860);
}

TEST(DescendBlock, PatternKeepsItsZerosInEveryGroup) {
  for (const NmPattern pattern : {NmPattern{2, 4}, NmPattern{1, 3}, NmPattern{5, 6},
                                  NmPattern{0, 4}, NmPattern{4, 4}, NmPattern{8, 24}}) {
    SCOPED_TRACE(testing::Message() << pattern.n << " of " << pattern.m);
    Problem problem = with_pattern(make_problem(37, 24, 11), pattern);
    const Problem start = problem;
    int moved = 0;
    for (int sweep = 0; sweep < 3; ++sweep) {
      problem.run();
      problem.find_gradient();
      for (std::int64_t r = 0; r < 37; ++r) {
        std::int64_t zeros = 0;
        for (std::int64_t j = 0; j < 24; ++j) {
          ASSERT_TRUE(!problem.pruned(r, j) || problem.weight(r, j) == 0.0F);
          zeros += problem.pruned(r, j) ? 1 : 0;
          moved += problem.pruned(r, j) != start.pruned(r, j) ? 1 : 0;
          if ((j + 1) % pattern.m == 0) {
            ASSERT_EQ(zeros, pattern.n) << r << ", " << j;
            zeros = 0;
          }
        }
      }
    }
    if (pattern.n > 0 && pattern.n < pattern.m) {
      EXPECT_GT(moved, 37) << "a mask without regard to the weights is far from the best";
    }
  }
}

TEST(DescendBlock, WritesNothingOutsideItsColumns) {
  for (Problem& problem : every_kind(37, 12, 12, 5)) {
    problem.run();
    EXPECT_TRUE(problem.weight.padding_is(kGuard));
    EXPECT_TRUE(problem.pruned.padding_is(true));
    EXPECT_TRUE(problem.codes.padding_is(77));
    EXPECT_EQ(problem.group_of_column.empty(), problem.codes(0, 0) == 77);
  }
}

TEST(DescendBlock, DoesNotDependOnThreads) {
  Backend threaded;
  threaded.parallel_for = test::threaded_for(4);
  for (Problem& one : every_kind(300, 48, 13)) {
    Problem four = one;
    one.run();
    four.run(threaded);
    for (std::int64_t r = 0; r < 300; ++r) {
      for (std::int64_t j = 0; j < 48; ++j) {
        ASSERT_EQ(one.weight(r, j), four.weight(r, j));
        ASSERT_EQ(one.pruned(r, j), four.pruned(r, j));
        ASSERT_EQ(one.codes(r, j), four.codes(r, j));
      }
    }
  }
}

TEST(DescendBlock, RefusesWhatDoesNotFit) {
  Problem problem = with_pattern(make_problem(2, 10, 14), {2, 4});
  EXPECT_THROW(problem.run(), Error) << "4 does not divide 10";
  problem.pattern = {6, 5};
  EXPECT_THROW(problem.run(), Error);
  problem.pattern = {};
  EXPECT_THROW(problem.run(), Error) << "no pattern";
  problem.pattern = {1, 2};
  problem.support = Support::kKept;
  EXPECT_THROW(problem.run(), Error) << "a pattern nobody asked for";
  Problem rounded = with_threshold(with_grid(make_problem(2, 10, 15)), 1.0F);
  EXPECT_THROW(rounded.run(), Error) << "a grid without a given support";
}

TEST(DescendBlock, RefusesLevelsThatLackAPart) {
  Problem problem = with_levels(make_problem(2, 10, 16));
  test::expect_whole_levels_needed(problem.levels->view(), "descend_block",
                                   [&](const LevelView& levels) {
                                     DescentBlock block;
                                     block.weight = problem.weight.view();
                                     block.gradient = problem.gradient.const_view();
                                     block.hessian = problem.hessian.const_view();
                                     block.pruned = problem.pruned.view();
                                     block.grid.levels = levels;
                                     descend_block(block, {});
                                   });
  Problem threshold = with_threshold(with_levels(make_problem(2, 10, 17)), 1.0F);
  EXPECT_THROW(threshold.run(), Error) << "levels without a given support";
}

TEST(DescendBlock, AcceptsNoRows) {
  Problem problem = make_empty(0, 4);
  EXPECT_NO_THROW(problem.run());
}

}  // namespace
}  // namespace sgpt_mi::kernels
