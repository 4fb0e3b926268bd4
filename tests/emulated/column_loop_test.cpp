#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "emulated/twin_check.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "unit/kernels/descend_problem.h"

// The column loop and coordinate descent: the CUDA kernels, emulated, give the CPU twins' bits.
namespace sgpt_mi::kernels {
namespace {

constexpr std::int64_t kPadding = 3;

/// Everything an ObsBlock points to, with guards behind every row.
struct ObsProblem {
  Matrix<float> weight;
  Matrix<float> factor;
  Matrix<bool> pruned;
  Matrix<std::uint8_t> codes;
  Matrix<float> error;
  Matrix<double> row_loss;
  NmPattern pattern;
  Matrix<float> scale{0, 0};
  Matrix<float> zero{0, 0};
  std::vector<std::int32_t> group_of_column{};
  std::vector<float> max_code_of_group{};
  std::optional<test::BlockLevels> levels = std::nullopt;

  void run(const Backend& backend) {
    ObsBlock block;
    block.weight = weight.view();
    block.factor = factor.const_view();
    block.pruned = pruned.view();
    block.pattern = pattern;
    if (!group_of_column.empty()) {
      block.grid = {scale.const_view(), zero.const_view(), group_of_column.data(),
                    max_code_of_group.data()};
    }
    if (levels) block.grid.levels = levels->view();
    block.codes = codes.view();
    block.error = error.view();
    block.row_loss = row_loss.view().data;
    obs_block(block, backend);
  }
};

ObsProblem obs_problem(std::int64_t rows, std::int64_t width, NmPattern pattern, unsigned seed) {
  ObsProblem problem{{rows, width, kGuard, kPadding},
                     {width, width, kGuard, kPadding},
                     {rows, width, true, kPadding},
                     {rows, width, 77, kPadding},
                     {rows, width, kGuard, kPadding},
                     {1, rows, 0.5, kPadding},
                     pattern};
  const Matrix<float> weights = test::normal_matrix(rows, width, seed);
  const Matrix<float> factors = test::normal_matrix(width, width, seed + 1);
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t r = 0; r < rows; ++r) {
      problem.weight(r, j) = weights(r, j);
      problem.pruned(r, j) = pattern.m == 0 && (r + 2 * j) % 3 == 0;
    }
    for (std::int64_t k = 0; k < width; ++k) {
      // The part below the diagonal must not be read.
      problem.factor(j, k) = k < j ? std::numeric_limits<float>::quiet_NaN() : 0.2F * factors(j, k);
    }
    problem.factor(j, j) = 0.5F + std::abs(factors(j, j));
  }
  return problem;
}

/// Groups of 2, 3, 4 and 8 bits, interleaved, for each row or shared by all.
void add_grids(ObsProblem& problem, bool shared) {
  constexpr std::int64_t kGroups = 4;
  const std::int64_t rows = shared ? 1 : problem.weight.rows();
  problem.scale = {rows, kGroups, kGuard, kPadding};
  problem.zero = {rows, kGroups, kGuard, kPadding};
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t g = 0; g < kGroups; ++g) {
      problem.scale(r, g) = 0.9F / static_cast<float>(g + 1) + 0.01F * static_cast<float>(r % 7);
      problem.zero(r, g) = static_cast<float>(1 + (r + g) % 3);
    }
  }
  for (std::int64_t j = 0; j < problem.weight.columns(); ++j) {
    problem.group_of_column.push_back(static_cast<std::int32_t>(j * 7 % kGroups));
  }
  problem.max_code_of_group = {3.0F, 7.0F, 15.0F, 255.0F};
}

/// Levels instead of grids.
ObsProblem with_levels(ObsProblem problem) {
  problem.group_of_column.clear();
  problem.levels = test::block_levels(problem.weight.rows(), problem.weight.columns());
  return problem;
}

void run_shared(ObsProblem& problem, const Backend& backend, bool shared) {
  if (!shared) return problem.run(backend);
  ObsBlock block;
  block.weight = problem.weight.view();
  block.factor = problem.factor.const_view();
  block.pruned = problem.pruned.view();
  block.pattern = problem.pattern;
  MatrixView<const float> scale = problem.scale.const_view();
  MatrixView<const float> zero = problem.zero.const_view();
  scale.rows = zero.rows = problem.weight.rows();
  scale.stride = zero.stride = 0;
  block.grid = {scale, zero, problem.group_of_column.data(), problem.max_code_of_group.data()};
  block.codes = problem.codes.view();
  block.error = problem.error.view();
  block.row_loss = problem.row_loss.view().data;
  obs_block(block, backend);
}

void compare(const ObsProblem& problem, bool shared) {
  SCOPED_TRACE(testing::Message() << problem.weight.rows() << " x " << problem.weight.columns()
                                  << ", " << problem.pattern.n << " of " << problem.pattern.m
                                  << (problem.group_of_column.empty() ? "" : ", rounded")
                                  << (problem.levels ? ", levels" : "")
                                  << (shared ? ", shared" : ""));
  ObsProblem cpu = problem;
  run_shared(cpu, {}, shared);
  test::in_both_orders([&] {
    ObsProblem gpu = problem;
    run_shared(gpu, test::emulated_backend(), shared);
    test::expect_same(gpu.weight, cpu.weight, kGuard, "weight");
    test::expect_same(gpu.error, cpu.error, kGuard, "error");
    test::expect_same<bool>(gpu.pruned, cpu.pruned, true, "mask");
    test::expect_same<std::uint8_t>(gpu.codes, cpu.codes, 77, "codes");
    test::expect_same(gpu.row_loss, cpu.row_loss, 0.5, "loss");
  });
}

TEST(EmulatedTwins, ObsBlock) {
  const std::vector<NmPattern> patterns = {{0, 0}, {2, 4}, {5, 8}, {0, 8}, {8, 8}};
  unsigned seed = 1;
  for (const std::int64_t rows : {1, 9}) {
    for (const std::int64_t width : {8, 40, 128, 136}) {
      for (const NmPattern pattern : patterns) {
        ObsProblem problem = obs_problem(rows, width, pattern, ++seed);
        compare(problem, false);
        add_grids(problem, false);
        compare(problem, false);
        compare(with_levels(problem), false);
      }
    }
  }
}

TEST(EmulatedTwins, ObsBlockOfOddWidths) {
  for (const std::int64_t width : {1, 2, 31, 33, 65, 97, 127}) {
    ObsProblem problem = obs_problem(3, width, {}, static_cast<unsigned>(width));
    compare(problem, false);
    add_grids(problem, false);
    compare(problem, false);
    compare(with_levels(problem), false);
  }
}

TEST(EmulatedTwins, ObsBlockOfManyRows) {
  for (const std::int64_t rows : {32, 33, 70}) {
    ObsProblem problem = obs_problem(rows, 96, {2, 4}, static_cast<unsigned>(rows));
    add_grids(problem, false);
    compare(problem, false);
    compare(with_levels(problem), false);
  }
}

TEST(EmulatedTwins, ObsBlockWithPatternsOfManyWidths) {
  for (const std::int64_t m : {1, 3, 6, 24, 32, 48, 96}) {
    ObsProblem problem = obs_problem(5, 96, {m / 3, m}, static_cast<unsigned>(m));
    add_grids(problem, false);
    compare(problem, false);
  }
}

TEST(EmulatedTwins, ObsBlockWithSharedGrids) {
  for (const std::int64_t width : {24, 128, 200}) {
    ObsProblem problem = obs_problem(11, width, {}, 77);
    add_grids(problem, true);
    compare(problem, true);
  }
}

TEST(EmulatedTwins, ObsBlockOfEqualScoresAndNotANumber) {
  ObsProblem equal = obs_problem(6, 16, {2, 4}, 5);
  for (std::int64_t j = 0; j < 16; ++j) {
    for (std::int64_t k = j; k < 16; ++k) equal.factor(j, k) = j == k ? 1.0F : 0.0F;
    for (std::int64_t r = 0; r < 6; ++r) equal.weight(r, j) = (r + j) % 5 == 0 ? -0.5F : 0.5F;
  }
  equal.weight(3, 6) = std::numeric_limits<float>::quiet_NaN();
  equal.weight(4, 7) = std::numeric_limits<float>::infinity();
  compare(equal, false);
}

TEST(EmulatedTwins, ABlockOfColumnsIsOneLaunch) {
  ObsProblem problem = obs_problem(70, 128, {2, 4}, 1);
  add_grids(problem, false);
  emulated::reset_counts();
  problem.run(test::emulated_backend());
  EXPECT_EQ(emulated::counts().launches, 1);
  EXPECT_EQ(emulated::counts().blocks, 3);  // 32 rows each
  EXPECT_EQ(emulated::counts().copied_bytes, 0);
  Problem descent = with_grid(make_problem(70, 128, 2));
  emulated::reset_counts();
  descent.run(test::emulated_backend());
  EXPECT_EQ(emulated::counts().launches, 1);
  EXPECT_EQ(emulated::counts().blocks, 3);
}

TEST(EmulatedTwins, BlocksWiderThanSharedMemoryAreRefused) {
  // Refused before anything is read, so that the matrices may be smaller than they say.
  ObsProblem obs = obs_problem(1, 8, {}, 1);
  const auto widened = [](auto view, std::int64_t rows) {
    view.rows = rows;
    view.columns = view.stride = 50'000;
    return view;
  };
  ObsBlock block;
  block.weight = widened(obs.weight.view(), 1);
  block.factor = widened(obs.factor.const_view(), 50'000);
  block.pruned = widened(obs.pruned.view(), 1);
  block.error = widened(obs.error.view(), 1);
  block.row_loss = obs.row_loss.view().data;
  EXPECT_THROW(obs_block(block, test::emulated_backend()), Error);
}

void compare_descents(const Problem& problem) {
  SCOPED_TRACE(testing::Message() << problem.rows() << " x " << problem.width() << ", support "
                                  << static_cast<int>(problem.support) << ", " << problem.pattern.n
                                  << " of " << problem.pattern.m
                                  << (problem.group_of_column.empty() ? "" : ", rounded")
                                  << (problem.levels ? ", levels" : ""));
  Problem cpu = problem;
  cpu.run();
  test::in_both_orders([&] {
    Problem gpu = problem;
    gpu.run(test::emulated_backend());
    test::expect_same(gpu.weight, cpu.weight, kGuard, "weight");
    test::expect_same(gpu.gradient, problem.gradient, kGuard, "gradient");
    test::expect_same<bool>(gpu.pruned, cpu.pruned, true, "mask");
    test::expect_same<std::uint8_t>(gpu.codes, cpu.codes, 77, "codes");
  });
}

TEST(EmulatedTwins, DescendBlock) {
  unsigned seed = 1;
  for (const std::int64_t rows : {1, 9}) {
    for (const std::int64_t width : {1, 12, 33, 128, 132}) {
      for (const Problem& problem : every_kind(rows, width, ++seed, kPadding)) {
        compare_descents(problem);
      }
    }
  }
}

TEST(EmulatedTwins, DescendBlockOfManyRows) {
  for (const std::int64_t rows : {32, 33, 70}) {
    compare_descents(with_grid(make_problem(rows, 48, 5, kPadding)));
    compare_descents(with_levels(make_problem(rows, 48, 5, kPadding)));
    compare_descents(with_threshold(make_problem(rows, 48, 6, kPadding), 0.8F));
  }
}

TEST(EmulatedTwins, DescendBlockWithPatternsOfManyPairs) {
  for (const NmPattern pattern : {NmPattern{0, 4}, {4, 4}, {1, 2}, {7, 14}, {20, 40}}) {
    const std::int64_t width = 2 * pattern.m;
    compare_descents(with_pattern(make_problem(9, width, 3, kPadding), pattern));
  }
}

TEST(EmulatedTwins, DescendBlockOfExchangesThatTie) {
  Problem problem = with_pattern(make_empty(5, 8, kPadding), {2, 4});
  for (std::int64_t r = 0; r < 5; ++r) {
    for (std::int64_t j = 0; j < 8; ++j) problem.gradient(r, j) = j % 4 < 2 ? -1.0F : 0.0F;
  }
  compare_descents(problem);
}

}  // namespace
}  // namespace sgpt_mi::kernels
