// Levels for an entropy coder: their steps, the sweep and the polish, and what measures them.

#include <ATen/ops/eye.h>
#include <ATen/ops/linspace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "obs/level_steps.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/quant/level_grid.h"
#include "support/temporary_folder.h"
#include "weighed_layer.h"

namespace sgpt_mi::obs {
namespace {

using testing::HasSubstr;

constexpr double kFloat16 = 0x1p-11;  // half a unit in the last place, relative
constexpr double kFloat32 = 0x1p-23;
// The dozens of sums of float32 products that a sweep is made of.
constexpr double kRounding = 1e-4;
constexpr double kStep = 5.0;  // about 3 bits a weight of this layer

std::int64_t count(const torch::Tensor& mask) { return mask.sum().item<std::int64_t>(); }

double largest(const torch::Tensor& values) { return values.abs().max().item<double>(); }

CompressOptions with_step(const Layer& layer, double step) {
  CompressOptions options = layer.options;
  options.row_weight = layer.row_weight;
  options.levels = LevelOptions{step};
  return options;
}

CompressResult compress(const Layer& layer, const CompressOptions& options) {
  return compress_sparsegpt(layer.weight, layer.input, options, "fc1");
}

double bits_a_level(const torch::Tensor& levels) {
  return quant::level_tables(levels).total_bits / static_cast<double>(levels.numel());
}

/// U_jj in the natural column order.
torch::Tensor diagonal_of(const PreparedInput& input) {
  const torch::Tensor diagonal = input.upper.diagonal().to(torch::kFloat64);
  if (!input.column_order.defined()) return diagonal;
  return at::empty_like(diagonal).index_copy_(0, input.column_order, diagonal);
}

/// row_step * column_step in double precision.
torch::Tensor steps_of(const quant::LevelGrid& grid) {
  return grid.row_step.to(torch::kFloat64).unsqueeze(1) * grid.column_step;
}

TEST(LevelSteps, FollowFromWhatErrorsCost) {
  Layer layer;
  for (const bool act_order : {false, true}) {
    layer.options.act_order = act_order;
    layer.input = prepare_input(layer.hessian, layer.options, "fc1");
    const torch::Tensor diagonal = diagonal_of(layer.input);
    const quant::LevelGrid grid = level_steps(layer.input, layer.row_weight, {0.25});
    const torch::Tensor row = layer.row_weight.rsqrt();
    const torch::Tensor column = 0.25 * diagonal.clamp_min(0.1 * diagonal.median().item<double>());
    EXPECT_LE(largest(grid.row_step / row - 1.0), kFloat16 + kFloat32);
    EXPECT_LE(largest(grid.column_step / column - 1.0), kFloat16 + kFloat32);
    // The cost of a squared level is what its error is in units of step^2.
    const torch::Tensor expected =
        (steps_of(grid) / (0.25 * diagonal)).square() * layer.row_weight.unsqueeze(1);
    const torch::Tensor cost = grid.row_cost.to(torch::kFloat64).unsqueeze(1) * grid.column_cost;
    EXPECT_LE(largest(cost / expected - 1.0), 4 * kFloat32);
  }
}

TEST(LevelSteps, FloorWhatFewTokensShow) {
  // Row weights: a mean of 1, so that nothing counts as less than 0.01.
  const torch::Tensor rows = torch::tensor({3.0, 0.992, 0.008, 0.0}, torch::kFloat64);
  EXPECT_TRUE(
      floored_row_weight(rows).equal(torch::tensor({3.0, 0.992, 0.01, 0.01}, torch::kFloat64)));
  EXPECT_TRUE(
      floored_row_weight(at::zeros({3}, torch::kFloat64)).equal(at::ones({3}, torch::kFloat64)));
  // Channel 2 is so loud that its U_jj is far below a tenth of the others'.
  torch::Tensor hessian = at::eye(5);
  hessian[2][2] = 1e4F;
  CompressOptions options;
  options.percdamp = 1e-7;
  const PreparedInput input = prepare_input(hessian, options, "fc1");
  const quant::LevelGrid grid = level_steps(input, at::ones({1}, torch::kFloat64), {2.0});
  const torch::Tensor diagonal = diagonal_of(input);
  const double middle = diagonal[0].item<double>();
  ASSERT_LT(diagonal[2].item<double>(), 0.02 * middle);
  EXPECT_NEAR(grid.column_step[0].item<double>(), 2.0 * middle, 2.0 * kFloat16);
  EXPECT_NEAR(grid.column_step[2].item<double>(), 0.2 * middle, 0.2 * kFloat16);
  // Its errors cost what they do all the same: 0.1 / 0.01 times as much, squared.
  EXPECT_NEAR(grid.column_cost[2].item<double>() / grid.column_cost[0].item<double>(), 100.0, 1.0);
}

TEST(LevelSteps, AStepOfZeroIsNone) {
  const Layer layer;
  EXPECT_THAT(test::error_of(ErrorKind::kInternal,
                             [&] { (void)level_steps(layer.input, layer.row_weight, {0.0}); }),
              HasSubstr("step of levels is not above 0"));
}

TEST(Levels, ValuesAreWhatStepsAndLevelsDecodeTo) {
  Layer layer;
  for (const bool act_order : {false, true}) {
    layer.options.act_order = act_order;
    layer.input = prepare_input(layer.hessian, layer.options, "fc1");
    for (const std::int64_t sweeps : {0, 3}) {
      SCOPED_TRACE(testing::Message() << "act_order " << act_order << ", polish " << sweeps);
      CompressOptions options = with_step(layer, kStep);
      options.refine.polish_sweeps = sweeps;
      options.refine.scale_step = sweeps > 0;
      const CompressResult result = compress(layer, options);
      const CompressedMatrix& matrix = result.matrix;
      ASSERT_TRUE(matrix.level_grid.has_value());
      EXPECT_EQ(matrix.levels.scalar_type(), torch::kInt16);
      EXPECT_TRUE(matrix.weight.equal(quant::values_of(matrix.levels, *matrix.level_grid)));
      EXPECT_FALSE(matrix.codes.defined() || matrix.scale.defined());
      EXPECT_EQ(count(matrix.pruned), 0) << "a level of 0 is no mask";
      // Steps in the natural order, and, until rows are fitted, those that were asked for.
      const quant::LevelGrid expected = level_steps(layer.input, layer.row_weight, *options.levels);
      EXPECT_TRUE(matrix.level_grid->column_step.equal(expected.column_step));
      EXPECT_EQ(matrix.level_grid->row_step.equal(expected.row_step), sweeps == 0);
      EXPECT_LT(layer.damage(matrix.weight), 0.05 * layer.damage(at::zeros_like(layer.weight)));
      const CompressResult again = compress(layer, options);
      EXPECT_TRUE(again.matrix.levels.equal(matrix.levels));
      EXPECT_TRUE(again.matrix.level_grid->row_step.equal(matrix.level_grid->row_step));
      EXPECT_EQ(again.output_error, result.output_error);
    }
  }
}

TEST(Levels, AGivenRowExponentIsKept) {
  const Layer layer;
  CompressOptions options = with_step(layer, kStep);
  options.levels->row_exponent = 3;
  EXPECT_EQ(compress(layer, options).matrix.level_grid->row_exponent, 3);
}

/// Expects levels (rows, N) none of which another one would beat in error and price.
void expect_least_cost(const torch::Tensor& levels, const torch::Tensor& wanted,
                       const torch::Tensor& cost, const quant::LevelTables& tables) {
  const auto bits = tables.bits.accessor<float, 2>();
  const auto row_table = tables.row_table.accessor<std::int32_t, 1>();
  const auto column_table = tables.column_table.accessor<std::int32_t, 1>();
  const auto chosen = levels.accessor<std::int16_t, 2>();
  for (std::int64_t r = 0; r < levels.size(0); ++r) {
    for (std::int64_t j = 0; j < levels.size(1); ++j) {
      const std::int64_t table =
          std::clamp<std::int64_t>(row_table[r] + column_table[j], 0, tables.bits.size(0) - 1);
      const auto cost_of = [&](std::int64_t level) {
        const double away = wanted.accessor<double, 2>()[r][j] - static_cast<double>(level);
        return cost.accessor<double, 2>()[r][j] * away * away +
               quant::kBitPrice * static_cast<double>(bits[table][std::abs(level)]);
      };
      ASSERT_LE(std::abs(chosen[r][j]), 20);
      double least = cost_of(0);
      for (std::int64_t level = -20; level <= 20; ++level) least = std::min(least, cost_of(level));
      ASSERT_LE(cost_of(chosen[r][j]), least + 1e-5) << r << ", " << j;
    }
  }
}

// A diagonal H moves no weight, so every level is known: the one of least error and price, by what
// levels take before the sweep.
TEST(Levels, OfADiagonalHCostLeast) {
  Layer layer;
  layer.hessian = at::linspace(0.5, 3.0, kColumns, torch::kFloat32).diag();
  layer.input = prepare_input(layer.hessian, {}, "fc1");
  CompressOptions options = with_step(layer, 1.5);
  const quant::LevelGrid grid = level_steps(layer.input, layer.row_weight, *options.levels);
  const torch::Tensor cost = grid.row_cost.to(torch::kFloat64).unsqueeze(1) * grid.column_cost;
  const torch::Tensor wanted = layer.weight.to(torch::kFloat64) / steps_of(grid);
  torch::Tensor before = quant::nearest_levels(layer.weight, grid);
  for (std::int64_t sweeps = 0; sweeps <= 2; ++sweeps) {
    SCOPED_TRACE(sweeps == 0 ? "swept" : "polished");
    options.refine.polish_sweeps = sweeps;
    const torch::Tensor levels = compress(layer, options).matrix.levels;
    expect_least_cost(levels, wanted, cost, quant::level_tables(before));
    EXPECT_GT(count(levels.ne(before)), sweeps == 0 ? kRows * kColumns / 50 : 0)
        << "prices decide something";
    if (sweeps == 0) {
      EXPECT_TRUE(levels.abs().le(before.abs()).all().item<bool>());
    }
    before = levels;
  }
}

TEST(Levels, SmallerStepsTakeMoreBitsForLessError) {
  const Layer layer;
  double error = HUGE_VAL;
  double bits = 0.0;
  for (const double step : {20.0, 10.0, 5.0, 2.5, 1.25}) {
    const CompressResult result = compress(layer, with_step(layer, step));
    EXPECT_LT(result.output_error, error) << step;
    EXPECT_GT(bits_a_level(result.matrix.levels), bits) << step;
    error = result.output_error;
    bits = bits_a_level(result.matrix.levels);
  }
}

// Rounding errors of fine steps are uniform: a twelfth of a squared level each, and the costs say
// what that is worth. A step half as large takes a bit more.
TEST(Levels, FineStepsDoWhatHighRateTheorySays) {
  const Layer layer;
  constexpr double kFine = 2.0;
  const CompressResult result = compress(layer, with_step(layer, kFine));
  const quant::LevelGrid& grid = *result.matrix.level_grid;
  const double cost =
      (grid.row_cost.unsqueeze(1) * grid.column_cost).sum(torch::kFloat64).item<double>();
  // 2,800 errors: their mean square is off by 2 % of itself (a standard deviation), and prices move
  // some levels.
  EXPECT_NEAR(layer.damage(result.matrix.weight) / (kFine * kFine * cost / 12.0), 1.0, 0.1);
  const CompressResult finer = compress(layer, with_step(layer, kFine / 2.0));
  EXPECT_NEAR(bits_a_level(finer.matrix.levels) - bits_a_level(result.matrix.levels), 1.0, 0.15);
}

TEST(Levels, RowsAreFittedWithoutAPolishToo) {
  const Layer layer;
  CompressOptions options = with_step(layer, kStep);
  options.refine.polish_sweeps = 0;
  const CompressedMatrix plain = compress(layer, options).matrix;
  options.refine.scale_step = true;
  const CompressedMatrix fitted = compress(layer, options).matrix;
  EXPECT_TRUE(fitted.levels.equal(plain.levels));
  EXPECT_LT(layer.damage(fitted.weight), layer.damage(plain.weight));
}

TEST(Levels, MasksStayAsTheyWereChosen) {
  const Layer layer;
  CompressOptions options = with_step(layer, kStep);
  options.sparsity = 0.5;
  options.refine.l0_sweeps = 2;
  options.refine.polish_sweeps = 2;
  options.refine.scale_step = true;
  CompressOptions pruning = options;
  pruning.levels.reset();
  const torch::Tensor mask = compress(layer, pruning).matrix.pruned;
  ASSERT_EQ(count(mask), kRows * kColumns / 2);
  const CompressedMatrix matrix = compress(layer, options).matrix;
  EXPECT_TRUE(matrix.pruned.logical_or(mask).equal(matrix.pruned));
  EXPECT_TRUE(matrix.pruned.equal(matrix.levels.eq(0)));
  EXPECT_GT(count(matrix.pruned), count(mask)) << "levels of 0 join it";
}

TEST(Levels, PatternsStayExact) {
  const Layer layer;
  for (const std::int64_t l0_sweeps : {0, 2}) {
    SCOPED_TRACE(l0_sweeps == 0 ? "chosen by the sweep" : "chosen before");
    CompressOptions options = with_step(layer, kStep);
    options.prune_n = 2;
    options.prune_m = 4;
    options.refine.l0_sweeps = l0_sweeps;
    options.refine.polish_sweeps = 2;
    const CompressedMatrix matrix = compress(layer, options).matrix;
    EXPECT_TRUE(matrix.pruned.view({kRows, -1, 4}).sum(2).eq(2).all().item<bool>());
    EXPECT_EQ(count(matrix.levels.masked_select(matrix.pruned).ne(0)), 0);
    EXPECT_GT(count(matrix.levels.ne(0)), kRows * kColumns / 4);
  }
}

/// What a polish lowers: the weighed error in units of the step, and the price of the levels by
/// these tables, whose last magnitudes say what larger ones cost.
double objective(const Layer& layer, const CompressedMatrix& matrix,
                 const quant::LevelTables& tables, double step) {
  const torch::Tensor table = (tables.row_table.unsqueeze(1) + tables.column_table)
                                  .clamp(0, tables.bits.size(0) - 1)
                                  .to(torch::kInt64)
                                  .flatten();
  const torch::Tensor bits = tables.bits.to(torch::kFloat64).index_select(0, table);
  const torch::Tensor magnitude = matrix.levels.abs().to(torch::kInt64).view({-1, 1});
  const torch::Tensor beyond = (magnitude - 31).clamp_min(0).squeeze(1);
  const torch::Tensor taken = bits.gather(1, magnitude.clamp_max(31)).squeeze(1) +
                              beyond * (bits.select(1, 31) - bits.select(1, 30));
  return layer.damage(matrix.weight) / (step * step) +
         quant::kBitPrice * taken.sum().item<double>();
}

TEST(Levels, PolishLowersErrorAndPricesTogether) {
  const Layer layer;
  for (const double step : {20.0, 10.0, 5.0, 1.0}) {
    SCOPED_TRACE(step);
    CompressOptions options = with_step(layer, step);
    CompressedMatrix before = compress(layer, options).matrix;
    for (std::int64_t sweeps = 1; sweeps <= 3; ++sweeps) {
      options.refine.polish_sweeps = sweeps;
      const CompressedMatrix after = compress(layer, options).matrix;
      // Prices of a sweep are those of the levels before it.
      const quant::LevelTables tables = quant::level_tables(before.levels);
      const double start = objective(layer, before, tables, step);
      const double end = objective(layer, after, tables, step);
      EXPECT_LE(end, start * (1 + kRounding)) << "sweep " << sweeps;
      if (sweeps == 1) {
        EXPECT_LT(end, 0.999 * start);
      }
      before = after;
    }
  }
}

TEST(Levels, FittedRowStepsLowerTheErrorOfTheSameLevels) {
  const Layer layer;
  CompressOptions options = with_step(layer, kStep);
  options.refine.polish_sweeps = 1;
  const CompressedMatrix plain = compress(layer, options).matrix;
  options.refine.scale_step = true;
  const CompressedMatrix fitted = compress(layer, options).matrix;
  EXPECT_TRUE(fitted.levels.equal(plain.levels));
  EXPECT_LT(layer.damage(fitted.weight), 0.999 * layer.damage(plain.weight));
  const quant::LevelGrid& grid = *fitted.level_grid;
  const torch::Tensor stored = grid.row_step / std::exp2(grid.row_exponent);
  EXPECT_TRUE(stored.to(torch::kFloat16).to(torch::kFloat32).equal(stored));
}

TEST(Levels, DeadChannelsStayZero) {
  Layer layer;
  layer.hessian.select(0, 7).zero_();
  layer.hessian.select(1, 7).zero_();
  layer.input = prepare_input(layer.hessian, {}, "fc1");
  CompressOptions options = with_step(layer, kStep);
  options.refine.polish_sweeps = 2;
  options.refine.scale_step = true;
  const CompressedMatrix matrix = compress(layer, options).matrix;
  EXPECT_EQ(count(matrix.levels.select(1, 7).ne(0)), 0);
  EXPECT_TRUE(matrix.weight.isfinite().all().item<bool>());
}

TEST(RowWeights, DecideWhichWeightsOfAMatrixAreZeros) {
  // A diagonal H and one block: the lowest f w^2 / U_jj^2 fall.
  Layer layer;
  layer.hessian = at::linspace(0.5, 3.0, kColumns, torch::kFloat32).diag();
  layer.input = prepare_input(layer.hessian, {}, "fc1");
  CompressOptions options;
  options.sparsity = 0.5;
  options.blocksize = kColumns;
  options.refine.l0_sweeps = 2;
  options.row_weight = at::linspace(0.02, 3.0, kRows, torch::kFloat64);
  const torch::Tensor pruned = compress(layer, options).matrix.pruned;
  const torch::Tensor score = options.row_weight.unsqueeze(1) *
                              layer.weight.to(torch::kFloat64).square() /
                              diagonal_of(layer.input).square();
  EXPECT_EQ(count(pruned), kRows * kColumns / 2);
  EXPECT_LE(score.masked_select(pruned).max().item<double>(),
            (1 + kRounding) * score.masked_select(pruned.logical_not()).min().item<double>());
}

TEST(RowWeights, AllAlikeAreNone) {
  const Layer layer;
  CompressOptions options = with_step(layer, kStep);
  options.sparsity = 0.4;
  options.refine.l0_sweeps = 2;
  options.refine.polish_sweeps = 1;
  options.row_weight.reset();
  const CompressedMatrix without = compress(layer, options).matrix;
  options.row_weight = at::ones({kRows}, torch::kFloat64);
  const CompressedMatrix alike = compress(layer, options).matrix;
  EXPECT_TRUE(alike.pruned.equal(without.pruned));
  EXPECT_TRUE(alike.weight.equal(without.weight));
}

TEST(RowWeights, LowerTheWeighedDamageOfAMask) {
  const Layer layer;
  CompressOptions options;
  options.sparsity = 0.5;
  options.refine.l0_sweeps = 3;
  options.refine.refit_iterations = 10;
  const double alike = layer.damage(compress(layer, options).matrix.weight);
  options.row_weight = layer.row_weight;
  EXPECT_LT(layer.damage(compress(layer, options).matrix.weight), alike);
  // A pattern gives every row as many zeros: there is nothing to decide.
  options.sparsity = 0.0;
  options.prune_n = 2;
  options.prune_m = 4;
  const torch::Tensor weighed = compress(layer, options).matrix.weight;
  options.row_weight.reset();
  EXPECT_TRUE(compress(layer, options).matrix.weight.equal(weighed));
}

TEST(MeasureLevels, BitsFallAndDamageRisesWithTheStep) {
  const Layer layer;
  const std::vector<LevelPoint> points = measure_levels(layer.weight, {}, layer.curve());
  ASSERT_EQ(points.size(), 20U);
  EXPECT_GT(points.front().bits, 6.0);
  EXPECT_LT(points.back().bits, 0.3);
  for (std::size_t i = 1; i < points.size(); ++i) {
    EXPECT_NEAR(points[i].step / points[i - 1].step, std::sqrt(2.0), 1e-12);
    EXPECT_LE(points[i].bits, points[i - 1].bits) << i;
    EXPECT_GE(points[i].damage, points[i - 1].damage) << i;
    if (points[i].bits < 0.1) continue;  // all levels may be 0, and coarser steps the same
    EXPECT_LT(points[i].bits, points[i - 1].bits) << i;
    EXPECT_GT(points[i].damage, points[i - 1].damage) << i;
  }
  EXPECT_NEAR(points.back().damage, layer.damage(at::zeros_like(layer.weight)),
              0.05 * points.back().damage);
}

TEST(MeasureLevels, PointsAreThoseOfTheSweep) {
  Layer layer;
  for (const bool act_order : {false, true}) {
    layer.options.act_order = act_order;
    layer.input = prepare_input(layer.hessian, layer.options, "fc1");
    for (const LevelPoint& point : measure_levels(layer.weight, {}, layer.curve())) {
      const CompressedMatrix matrix = compress(layer, with_step(layer, point.step)).matrix;
      EXPECT_DOUBLE_EQ(point.bits, bits_a_level(matrix.levels)) << point.step;
      EXPECT_NEAR(point.damage, layer.damage(matrix.weight), 1e-3 * point.damage) << point.step;
    }
  }
}

TEST(MeasureLevels, PrunedWeightsStayZeroAndAddNoError) {
  Layer layer;
  const PruneCurve pruned = measure_pruning(layer.weight, layer.curve(), {0.5}, 0);
  const std::vector<LevelPoint> points =
      measure_levels(pruned.weight, pruned.pruned, layer.curve());
  // A mask costs at most a bit a weight, and what is left half of the rest.
  const std::vector<LevelPoint> dense = measure_levels(layer.weight, {}, layer.curve());
  EXPECT_LT(points.front().bits, 1.0 + 0.55 * dense.front().bits);
  // The error is that of Q's levels, not of Q: it vanishes with the step.
  EXPECT_LT(points.front().damage, 0.01 * pruned.levels.front().damage);
}

// Of 64 rows every second one is measured; here all others repeat them.
TEST(MeasureLevels, SomeRowsStandForMany) {
  Layer layer;
  const torch::Tensor some = test::normal(32, kColumns, 5);
  const torch::Tensor weights = at::linspace(0.5, 2.0, 32, torch::kFloat64);
  const std::vector<LevelPoint> expected =
      measure_levels(some, {}, {layer.input, layer.options, weights});
  const std::vector<LevelPoint> found =
      measure_levels(some.repeat_interleave(2, 0), {},
                     {layer.input, layer.options, weights.repeat_interleave(2, 0)});
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].step, expected[i].step);
    EXPECT_EQ(found[i].bits, expected[i].bits);
    EXPECT_DOUBLE_EQ(found[i].damage, 2.0 * expected[i].damage);
  }
}

}  // namespace
}  // namespace sgpt_mi::obs
