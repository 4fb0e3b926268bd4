#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "sgpt_mi/kernels/descend_block.h"
#include "support/block_levels.h"
#include "support/matrix.h"

namespace sgpt_mi::kernels {

using test::Matrix;

inline constexpr float kGuard = 12345.0F;

/// Everything a DescentBlock points to, with guard values behind every row, and the weights W0 that
/// the descent is to approximate.
struct Problem {
  Matrix<float> target;
  Matrix<float> weight;
  Matrix<float> gradient;
  Matrix<float> hessian;
  Matrix<bool> pruned;
  Support support = Support::kKept;
  float threshold = 0.0F;
  NmPattern pattern;
  Matrix<float> scale;
  Matrix<float> zero;
  std::vector<std::int32_t> group_of_column;
  std::vector<float> max_code_of_group;
  Matrix<std::uint8_t> codes;
  std::optional<test::BlockLevels> levels = std::nullopt;

  [[nodiscard]] std::int64_t rows() const { return weight.rows(); }
  [[nodiscard]] std::int64_t width() const { return weight.columns(); }

  /// (Q - W0) H, summed in double.
  void find_gradient() {
    for (std::int64_t r = 0; r < rows(); ++r) {
      for (std::int64_t j = 0; j < width(); ++j) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < width(); ++k) {
          sum += (static_cast<double>(weight(r, k)) - static_cast<double>(target(r, k))) *
                 static_cast<double>(hessian(k, j));
        }
        gradient(r, j) = static_cast<float>(sum);
      }
    }
  }

  void run(const Backend& backend = {}) {
    DescentBlock block;
    block.weight = weight.view();
    block.gradient = gradient.const_view();
    block.hessian = hessian.const_view();
    block.pruned = pruned.view();
    block.support = support;
    block.threshold = threshold;
    block.pattern = pattern;
    if (!group_of_column.empty()) {
      block.grid = {scale.const_view(), zero.const_view(), group_of_column.data(),
                    max_code_of_group.data()};
    }
    if (levels) block.grid.levels = levels->view();
    block.codes = codes.view();
    descend_block(block, backend);
  }
};

/// Nothing pruned, no grid, Q = 0, H the identity.
inline Problem make_empty(std::int64_t rows, std::int64_t width, std::int64_t padding = 0) {
  Problem problem{{rows, width},
                  {rows, width, kGuard, padding},
                  {rows, width, kGuard, padding},
                  {width, width, kGuard, padding},
                  {rows, width, true, padding},
                  Support::kKept,
                  0.0F,
                  {},
                  {rows, 0},
                  {rows, 0},
                  {},
                  {},
                  {rows, width, 77, padding}};
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t k = 0; k < width; ++k) problem.hessian(j, k) = j == k ? 1.0F : 0.0F;
    for (std::int64_t r = 0; r < rows; ++r) {
      problem.weight(r, j) = 0.0F;
      problem.pruned(r, j) = false;
    }
  }
  return problem;
}

/// Normal W0; H = A^T A / samples + 0.05 I of `2 width` normal samples with correlated columns;
/// Q is 0.
inline Problem make_problem(std::int64_t rows, std::int64_t width, unsigned seed,
                            std::int64_t padding = 0) {
  Problem problem = make_empty(rows, width, padding);
  problem.target = test::normal_matrix(rows, width, seed);
  const std::int64_t samples = 2 * width;
  Matrix<float> input = test::normal_matrix(samples, width, seed + 1);
  for (std::int64_t t = 0; t < samples; ++t) {
    for (std::int64_t j = 1; j < width; ++j) input(t, j) += 0.7F * input(t, j - 1);
  }
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t k = 0; k <= j; ++k) {
      double sum = j == k ? 0.05 * static_cast<double>(samples) : 0.0;
      for (std::int64_t t = 0; t < samples; ++t) {
        sum += static_cast<double>(input(t, j)) * static_cast<double>(input(t, k));
      }
      problem.hessian(j, k) = static_cast<float>(sum / static_cast<double>(samples));
      problem.hessian(k, j) = problem.hessian(j, k);
    }
  }
  problem.find_gradient();
  return problem;
}

inline Problem with_every_third_pruned(Problem problem) {
  for (std::int64_t r = 0; r < problem.rows(); ++r) {
    for (std::int64_t j = 0; j < problem.width(); ++j) problem.pruned(r, j) = (r + 2 * j) % 3 == 0;
  }
  return problem;
}

/// Two interleaved groups of 3 and 4 bits; every third weight pruned.
inline Problem with_grid(Problem problem) {
  problem = with_every_third_pruned(std::move(problem));
  const std::int64_t rows = problem.rows();
  problem.scale = {rows, 2};
  problem.zero = {rows, 2};
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto variety = static_cast<float>(r % 7);
    problem.scale(r, 0) = 0.5F + 0.03F * variety;
    problem.scale(r, 1) = 0.3F + 0.02F * variety;
    problem.zero(r, 0) = std::floor(2.0F + variety / 3.0F);
    problem.zero(r, 1) = 8.0F;
  }
  for (std::int64_t j = 0; j < problem.width(); ++j) {
    problem.group_of_column.push_back(static_cast<std::int32_t>(j / 3 % 2));
  }
  problem.max_code_of_group = {7.0F, 15.0F};
  return problem;
}

/// Every third weight pruned; what levels cost is what they add to the objective.
inline Problem with_levels(Problem problem) {
  problem = with_every_third_pruned(std::move(problem));
  problem.levels = test::block_levels(problem.rows(), problem.width());
  for (std::int64_t j = 0; j < problem.width(); ++j) {
    const float step = problem.levels->column_step[static_cast<std::size_t>(j)];
    problem.levels->column_cost[static_cast<std::size_t>(j)] = step * step * problem.hessian(j, j);
  }
  return problem;
}

inline Problem with_threshold(Problem problem, float threshold) {
  problem.support = Support::kThreshold;
  problem.threshold = threshold;
  return problem;
}

/// The first n of every m columns pruned at first.
inline Problem with_pattern(Problem problem, NmPattern pattern) {
  problem.support = Support::kPattern;
  problem.pattern = pattern;
  for (std::int64_t r = 0; r < problem.rows(); ++r) {
    for (std::int64_t j = 0; j < problem.width(); ++j) {
      problem.pruned(r, j) = j % pattern.m < pattern.n;
    }
  }
  return problem;
}

/// One problem for each kind of support, one with a grid and one with levels.
inline std::vector<Problem> every_kind(std::int64_t rows, std::int64_t width, unsigned seed,
                                       std::int64_t padding = 0) {
  const std::int64_t whole_groups = 12 * ((width + 11) / 12);
  return {with_every_third_pruned(make_problem(rows, width, seed, padding)),
          with_grid(make_problem(rows, width, seed + 2, padding)),
          with_levels(make_problem(rows, width, seed + 3, padding)),
          with_threshold(make_problem(rows, width, seed + 4, padding), 0.8F),
          with_pattern(make_problem(rows, whole_groups, seed + 6, padding), {2, 4}),
          with_pattern(make_problem(rows, whole_groups, seed + 8, padding), {5, 6})};
}

}  // namespace sgpt_mi::kernels
