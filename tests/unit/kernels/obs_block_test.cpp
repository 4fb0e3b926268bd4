#include "sgpt_mi/kernels/obs_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "sgpt_mi/core/error.h"
#include "support/obs_reference.h"
#include "support/threads.h"
#include "whole_levels.h"

namespace sgpt_mi::kernels {
namespace {

using test::Matrix;
using test::ObsReference;

/// Everything an ObsBlock points to, with `padding` guard values behind every row.
struct Problem {
  Matrix<float> weight;
  Matrix<float> factor;
  Matrix<bool> pruned;
  NmPattern pattern;
  Matrix<float> scale;
  Matrix<float> zero;
  std::vector<std::int32_t> group_of_column;
  std::vector<float> max_code_of_group;
  Matrix<std::uint8_t> codes;
  Matrix<float> error;
  std::vector<double> row_loss;
  Matrix<float> offset{0, 0};
  LevelTable table = {};
  std::optional<test::BlockLevels> levels = std::nullopt;

  void run(const Backend& backend = {}) {
    ObsBlock block = block_of();
    obs_block(block, backend);
  }

  ObsBlock block_of() {
    ObsBlock block;
    block.weight = weight.view();
    block.factor = factor.const_view();
    block.pruned = pruned.view();
    block.pattern = pattern;
    if (!group_of_column.empty()) {
      block.grid = {scale.const_view(), zero.const_view(), group_of_column.data(),
                    max_code_of_group.data()};
      if (offset.rows() > 0) block.grid.offset = offset.const_view();
      block.grid.table = table;
    }
    if (levels) block.grid.levels = levels->view();
    block.codes = codes.view();
    block.error = error.view();
    block.row_loss = row_loss.data();
    return block;
  }
};

constexpr float kGuard = 12345.0F;

/// Normal weights, a random upper factor with a diagonal in [0.5, 2.5], nothing pruned, no grid.
Problem make_problem(std::int64_t rows, std::int64_t width, unsigned seed,
                     std::int64_t padding = 0) {
  Problem problem{{rows, width, kGuard, padding},
                  {width, width},
                  {rows, width, false, padding},
                  {},
                  {rows, 0},
                  {rows, 0},
                  {},
                  {},
                  {rows, width, 77, padding},
                  {rows, width, kGuard, padding},
                  std::vector<double>(static_cast<std::size_t>(rows))};
  const Matrix<float> weights = test::normal_matrix(rows, width, seed);
  const Matrix<float> factors = test::normal_matrix(width, width, seed + 1);
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t r = 0; r < rows; ++r) problem.weight(r, j) = weights(r, j);
    for (std::int64_t k = 0; k < width; ++k) {
      // The part below the diagonal must not be read.
      problem.factor(j, k) = k < j ? std::numeric_limits<float>::quiet_NaN() : 0.2F * factors(j, k);
    }
    problem.factor(j, j) = 0.5F + std::abs(factors(j, j));
  }
  return problem;
}

/// Two interleaved groups of 3 and 4 bits.
void add_grid(Problem& problem) {
  const std::int64_t rows = problem.weight.rows();
  problem.scale = {rows, 2};
  problem.zero = {rows, 2};
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto variety = static_cast<float>(r % 7);
    problem.scale(r, 0) = 0.5F + 0.03F * variety;
    problem.scale(r, 1) = 0.3F + 0.02F * variety;
    problem.zero(r, 0) = 2.0F + variety / 3.0F - std::fmod(variety / 3.0F, 1.0F);
    problem.zero(r, 1) = 8.0F;
  }
  for (std::int64_t j = 0; j < problem.weight.columns(); ++j) {
    problem.group_of_column.push_back(static_cast<std::int32_t>(j / 3 % 2));
  }
  problem.max_code_of_group = {7.0F, 15.0F};
}

void prune_every_third(Problem& problem) {
  for (std::int64_t r = 0; r < problem.weight.rows(); ++r) {
    for (std::int64_t j = 0; j < problem.weight.columns(); ++j) {
      problem.pruned(r, j) = (r + 2 * j) % 3 == 0;
    }
  }
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
ObsReference<T> reference_of(const Problem& problem) {
  Matrix<bool> pruned(problem.weight.rows(), problem.weight.columns());
  for (std::int64_t r = 0; r < pruned.rows(); ++r) {
    for (std::int64_t j = 0; j < pruned.columns(); ++j) pruned(r, j) = problem.pruned(r, j);
  }
  ObsReference<T> reference{converted<T>(problem.weight),
                            converted<T>(problem.factor),
                            pruned,
                            problem.pattern,
                            converted<T>(problem.scale),
                            converted<T>(problem.zero),
                            problem.group_of_column,
                            {problem.max_code_of_group.begin(), problem.max_code_of_group.end()},
                            {problem.weight.rows(), problem.weight.columns()},
                            converted<T>(problem.error),
                            problem.row_loss,
                            problem.levels ? &*problem.levels : nullptr};
  reference.run();
  return reference;
}

void expect_same_bits(const Problem& problem, const ObsReference<float>& reference) {
  for (std::int64_t r = 0; r < problem.weight.rows(); ++r) {
    for (std::int64_t j = 0; j < problem.weight.columns(); ++j) {
      ASSERT_EQ(problem.weight(r, j), reference.weight(r, j)) << "weight " << r << ", " << j;
      ASSERT_EQ(problem.error(r, j), reference.error(r, j)) << "error " << r << ", " << j;
      ASSERT_EQ(problem.pruned(r, j), reference.pruned(r, j)) << "mask " << r << ", " << j;
      if (!problem.group_of_column.empty()) {
        ASSERT_EQ(problem.codes(r, j), reference.codes(r, j)) << "code " << r << ", " << j;
      }
    }
    EXPECT_EQ(problem.row_loss[static_cast<std::size_t>(r)],
              reference.row_loss[static_cast<std::size_t>(r)]);
  }
}

TEST(ObsBlock, TwoColumnsByHand) {
  Problem problem = make_problem(1, 2, 1);
  problem.weight(0, 0) = 3.0F;
  problem.weight(0, 1) = 5.0F;
  problem.factor(0, 0) = 2.0F;
  problem.factor(0, 1) = 0.5F;
  problem.factor(1, 1) = 4.0F;
  problem.pruned(0, 0) = true;
  problem.row_loss[0] = 10.0;
  problem.run();
  EXPECT_EQ(problem.weight(0, 0), 0.0F);
  EXPECT_EQ(problem.error(0, 0), 1.5F);    // 3 / 2
  EXPECT_EQ(problem.weight(0, 1), 4.25F);  // 5 - 1.5 * 0.5
  EXPECT_EQ(problem.error(0, 1), 0.0F);
  EXPECT_EQ(problem.row_loss[0], 10.0 + 1.125);  // 3^2 / (2 * 2^2), added
}

TEST(ObsBlock, RoundsToTheGridAndReturnsCodes) {
  Problem problem = make_problem(1, 3, 1);
  problem.factor = Matrix<float>(3, 3);
  for (std::int64_t j = 0; j < 3; ++j) problem.factor(j, j) = 1.0F;
  add_grid(problem);
  problem.group_of_column = {0, 0, 0};
  problem.scale(0, 0) = 0.5F;
  problem.zero(0, 0) = 2.0F;
  problem.weight(0, 0) = 0.75F;  // 1.5 scales, to even: 2
  problem.weight(0, 1) = -9.0F;  // clamped to code 0
  problem.weight(0, 2) = 0.4F;
  problem.pruned(0, 2) = true;
  problem.run();
  EXPECT_EQ(problem.codes(0, 0), 4);
  EXPECT_EQ(problem.weight(0, 0), 1.0F);
  EXPECT_EQ(problem.codes(0, 1), 0);
  EXPECT_EQ(problem.weight(0, 1), -1.0F);
  EXPECT_EQ(problem.codes(0, 2), 2);
  EXPECT_EQ(problem.weight(0, 2), 0.0F);
}

/// Factor 1: no column moves another, and what is rounded is known. One row, one group.
Problem without_updates(const std::vector<float>& weights) {
  Problem problem = make_problem(1, static_cast<std::int64_t>(weights.size()), 1);
  problem.factor = Matrix<float>(problem.weight.columns(), problem.weight.columns());
  add_grid(problem);
  for (std::int64_t j = 0; j < problem.weight.columns(); ++j) {
    problem.factor(j, j) = 1.0F;
    problem.group_of_column[static_cast<std::size_t>(j)] = 0;
    problem.weight(0, j) = weights[static_cast<std::size_t>(j)];
  }
  problem.zero(0, 0) = 0.0F;
  return problem;
}

TEST(ObsBlock, GridsWithOffsetsRoundWhatIsLeftOfTheOffset) {
  Problem problem = without_updates({-1.3F, 0.0F, 1.8F, -9.0F, 9.0F});
  problem.scale(0, 0) = 0.5F;
  problem.offset = {1, 2};
  problem.offset(0, 0) = -1.3F;
  problem.run();
  const std::vector<int> codes{0, 3, 6, 0, 7};  // 2.6 and 6.2 scales above the offset
  for (std::int64_t j = 0; j < 5; ++j) {
    const int code = codes[static_cast<std::size_t>(j)];
    EXPECT_EQ(problem.codes(0, j), code);
    EXPECT_EQ(problem.weight(0, j), 0.5F * static_cast<float>(code) + -1.3F);
  }
}

TEST(ObsBlock, TablesTakeTheNearestLevel) {
  Problem problem = without_updates({-2.0F, -0.5F, 0.0F, 0.26F, 9.0F, 1.5F});
  problem.max_code_of_group[0] = 15.0F;
  problem.scale(0, 0) = -0.5F;  // the sign of a scale is free
  problem.table.given = true;
  for (int i = 0; i < 16; ++i) problem.table.level[i] = static_cast<float>(i * i) - 8.0F;
  problem.run();
  // In scales 4, 1, 0, -0.52, -18 and -3 among the levels -8, -7, -4, 1, 8 ...
  const std::vector<int> codes{3, 3, 3, 3, 0, 2};
  for (std::int64_t j = 0; j < 6; ++j) {
    const auto code = static_cast<std::size_t>(codes[static_cast<std::size_t>(j)]);
    EXPECT_EQ(problem.codes(0, j), codes[static_cast<std::size_t>(j)]) << j;
    EXPECT_EQ(problem.weight(0, j), -0.5F * problem.table.level[code]) << j;
  }
}

/// Levels of one row: steps of 0.5, costs of 1, and these tables.
test::BlockLevels half_steps(std::int64_t width, std::vector<std::vector<float>> price) {
  test::BlockLevels levels;
  levels.row_step = {0.25F};
  levels.row_cost = {2.0F};
  levels.row_table = {0};
  levels.column_step.assign(static_cast<std::size_t>(width), 2.0F);
  levels.column_cost.assign(static_cast<std::size_t>(width), 0.5F);
  levels.column_table.assign(static_cast<std::size_t>(width), 0);
  levels.price = std::move(price);
  return levels;
}

TEST(ObsBlock, LevelsWithoutPricesAreTheNearest) {
  const std::vector<float> weights{0.6F, -0.8F, 0.75F, -0.24F, 1e6F, -1e6F, 0.0F};
  const std::vector<float> levels{1.0F, -2.0F, 2.0F, 0.0F, 32767.0F, -32767.0F, 0.0F};
  Problem problem = without_updates(weights);
  problem.levels = half_steps(7, {std::vector<float>(32, 3.0F)});
  problem.run();
  for (std::int64_t j = 0; j < 7; ++j) {
    const float value = 0.5F * levels[static_cast<std::size_t>(j)];
    EXPECT_EQ(problem.weight(0, j), value) << j;
    EXPECT_EQ(problem.error(0, j), weights[static_cast<std::size_t>(j)] - value) << j;
    EXPECT_EQ(problem.codes(0, j), 77) << "levels have no codes";
  }
}

TEST(ObsBlock, TablesAreThoseOfRowAndColumnCutToTheRange) {
  // Only the last table makes levels dear: its columns become 0.
  Problem problem = without_updates({1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F});
  problem.levels = half_steps(
      6, {std::vector<float>(32), std::vector<float>(32), std::vector<float>(32, 50.0F)});
  problem.levels->price[2][0] = 0.0F;
  problem.levels->row_table = {-3};
  problem.levels->column_table = {-4, 3, 4, 5, 6, 40};
  problem.run();
  for (std::int64_t j = 0; j < 6; ++j) {
    EXPECT_EQ(problem.weight(0, j), j < 3 ? 1.0F : 0.0F) << j;
  }
}

TEST(ObsBlock, PrunedWeightsAreLevelZero) {
  Problem problem = make_problem(40, 24, 13);
  prune_every_third(problem);
  problem.levels = test::block_levels(40, 24);
  problem.run();
  int kept = 0;
  for (std::int64_t r = 0; r < 40; ++r) {
    for (std::int64_t j = 0; j < 24; ++j) {
      if (problem.pruned(r, j)) {
        ASSERT_EQ(problem.weight(r, j), 0.0F) << r << ", " << j;
      }
      kept += problem.weight(r, j) != 0.0F ? 1 : 0;
    }
  }
  EXPECT_GT(kept, 40 * 24 / 4);
}

TEST(ObsBlock, RefusesLevelsThatLackAPart) {
  Problem problem = make_problem(2, 10, 14);
  problem.levels = test::block_levels(2, 10);
  const ObsBlock block = problem.block_of();
  test::expect_whole_levels_needed(block.grid.levels, "obs_block", [&](const LevelView& levels) {
    ObsBlock changed = block;
    changed.grid.levels = levels;
    obs_block(changed, {});
  });
}

TEST(ObsBlock, AScaleOfZeroHasOneValue) {
  for (const bool table : {false, true}) {
    Problem problem = without_updates({-2.0F, 0.0F, 3.0F});
    problem.scale(0, 0) = 0.0F;
    problem.table.given = table;
    problem.run();
    for (std::int64_t j = 0; j < 3; ++j) EXPECT_EQ(problem.weight(0, j), 0.0F);
  }
}

TEST(ObsBlock, NmPrunesTheLeftmostOfEqualScores) {
  Problem problem = make_problem(1, 4, 1);
  problem.factor = Matrix<float>(4, 4);
  for (std::int64_t j = 0; j < 4; ++j) {
    problem.factor(j, j) = 1.0F;
    problem.weight(0, j) = j == 1 ? -0.5F : 1.0F;
  }
  problem.pattern = {2, 4};
  problem.run();
  EXPECT_TRUE(problem.pruned(0, 0));
  EXPECT_TRUE(problem.pruned(0, 1));
  EXPECT_FALSE(problem.pruned(0, 2));
  EXPECT_FALSE(problem.pruned(0, 3));
}

TEST(ObsBlock, NmChoosesFromUpdatedWeights) {
  Problem problem = make_problem(1, 4, 1);
  problem.factor = Matrix<float>(4, 4);
  for (std::int64_t j = 0; j < 4; ++j) problem.factor(j, j) = 1.0F;
  problem.factor(0, 2) = 3.0F;  // pruning column 0 takes 3 from column 2
  problem.weight(0, 0) = 1.0F;
  problem.weight(0, 1) = 2.0F;
  problem.weight(0, 2) = 3.0F;
  problem.weight(0, 3) = 1.0F;
  problem.pattern = {1, 2};
  problem.run();
  EXPECT_TRUE(problem.pruned(0, 2)) << "3 became 0, below column 3";
  EXPECT_FALSE(problem.pruned(0, 3));
}

TEST(ObsBlock, EqualsThePlainLoopBitForBit) {
  for (const std::int64_t rows : {1, 31, 32, 33, 70}) {
    for (const std::int64_t width : {1, 12, 24}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << width);
      Problem pruned = make_problem(rows, width, 5);
      prune_every_third(pruned);
      Problem joint = make_problem(rows, width, 6);
      prune_every_third(joint);
      add_grid(joint);
      Problem pattern = make_problem(rows, 12 * ((width + 11) / 12), 7);
      pattern.pattern = {2, 4};
      add_grid(pattern);
      Problem levels = make_problem(rows, width, 8);
      prune_every_third(levels);
      levels.levels = test::block_levels(rows, width);
      for (Problem* problem : {&pruned, &joint, &pattern, &levels}) {
        const ObsReference<float> reference = reference_of<float>(*problem);
        problem->run();
        expect_same_bits(*problem, reference);
      }
    }
  }
}

TEST(ObsBlock, IsCloseToTheLoopInDoublePrecision) {
  Problem problem = make_problem(40, 64, 8);
  prune_every_third(problem);
  const ObsReference<double> exact = reference_of<double>(problem);
  problem.run();
  for (std::int64_t r = 0; r < 40; ++r) {
    double largest = 1.0;
    for (std::int64_t j = 0; j < 64; ++j)
      largest = std::fmax(largest, std::abs(exact.weight(r, j)));
    // Each of up to 64 updates rounds a number no larger than the row's largest weight, and the
    // errors are carried on like the weights: a small multiple of width * epsilon * largest.
    const double tolerance = 8.0 * 64.0 * std::numeric_limits<float>::epsilon() * largest;
    for (std::int64_t j = 0; j < 64; ++j) {
      ASSERT_NEAR(problem.weight(r, j), exact.weight(r, j), tolerance) << r << ", " << j;
    }
  }
}

TEST(ObsBlock, WritesNothingOutsideItsColumns) {
  for (const bool levels : {false, true}) {
    Problem problem = make_problem(37, 12, 9, 5);
    problem.pattern = {3, 6};
    if (levels) {
      problem.levels = test::block_levels(37, 12);
    } else {
      add_grid(problem);
    }
    problem.run();
    EXPECT_TRUE(problem.weight.padding_is(kGuard));
    EXPECT_TRUE(problem.error.padding_is(kGuard));
    EXPECT_TRUE(problem.codes.padding_is(77));
    EXPECT_TRUE(problem.pruned.padding_is(false));
  }
}

TEST(ObsBlock, DoesNotDependOnThreads) {
  for (const bool levels : {false, true}) {
    Problem one = make_problem(300, 48, 10);
    one.pattern = {4, 8};
    if (levels) {
      one.levels = test::block_levels(300, 48);
    } else {
      add_grid(one);
    }
    Problem four = one;
    Backend threaded;
    threaded.parallel_for = test::threaded_for(4);
    one.run();
    four.run(threaded);
    for (std::int64_t r = 0; r < 300; ++r) {
      for (std::int64_t j = 0; j < 48; ++j) {
        ASSERT_EQ(one.weight(r, j), four.weight(r, j));
        ASSERT_EQ(one.codes(r, j), four.codes(r, j));
      }
    }
    EXPECT_EQ(one.row_loss, four.row_loss);
  }
}

TEST(ObsBlock, RefusesAPatternThatDoesNotDivideTheWidth) {
  Problem problem = make_problem(2, 10, 11);
  problem.pattern = {2, 4};
  EXPECT_THROW(problem.run(), Error);
  problem.pattern = {6, 5};
  EXPECT_THROW(problem.run(), Error);
}

TEST(ObsBlock, AcceptsNoRows) {
  Problem problem = make_problem(0, 4, 12);
  EXPECT_NO_THROW(problem.run());
}

}  // namespace
}  // namespace sgpt_mi::kernels
