#include "sgpt_mi/quant/level_grid.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/diff.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randperm.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "sgpt_mi/core/error.h"
#include "support/level_examples.h"
#include "support/random_tensor.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::quant {
namespace {

using testing::HasSubstr;

constexpr double kFloat16 = 0x1p-11;  // half a unit in the last place, relative

/// Positive numbers whose logarithms are normal, an octave apart.
torch::Tensor spread(std::int64_t count, std::uint64_t seed) {
  return test::normal(1, count, seed).squeeze(0).exp2();
}

/// A grid with costs and tables that tell rows and columns apart, and free levels.
LevelGrid some_grid(std::int64_t rows, std::int64_t columns) {
  LevelGrid grid = make_level_grid(spread(rows, 1), 0.01 * spread(columns, 2));
  grid.row_cost = at::arange(rows, torch::kFloat32);
  grid.column_cost = at::arange(columns, torch::kFloat32) + 100.0;
  grid.row_table = at::arange(rows, torch::kInt32);
  grid.column_table = at::arange(columns, torch::kInt32) - 7;
  grid.price = at::rand({3, 32});
  return grid;
}

bool is_float16(const torch::Tensor& numbers, int exponent) {
  const torch::Tensor stored = numbers.to(torch::kFloat64) * std::exp2(-exponent);
  return stored.to(torch::kFloat16).to(torch::kFloat64).equal(stored);
}

TEST(MakeLevelGrid, RoundsStepsToWhatAFileHolds) {
  const torch::Tensor rows = 1e-6 * spread(40, 3);
  const torch::Tensor columns = (1e5 * spread(70, 4)).to(torch::kFloat64);
  const torch::Tensor before = rows.clone();
  const LevelGrid grid = make_level_grid(rows, columns);
  EXPECT_TRUE(rows.equal(before)) << "the steps given are not changed";
  EXPECT_EQ(grid.row_step.scalar_type(), torch::kFloat32);
  EXPECT_EQ(grid.column_step.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(is_float16(grid.row_step, grid.row_exponent));
  EXPECT_TRUE(is_float16(grid.column_step, grid.column_exponent));
  EXPECT_LE((grid.row_step / rows - 1.0).abs().max().item<double>(), 1.001 * kFloat16);
  EXPECT_LE((grid.column_step / columns - 1.0).abs().max().item<double>(), 1.001 * kFloat16);
  EXPECT_FALSE(grid.row_step.equal(rows));
}

TEST(MakeLevelGrid, KeepsAGivenRowExponent) {
  const torch::Tensor rows = spread(40, 3);
  const LevelGrid grid = make_level_grid(rows, spread(5, 4), -9);
  EXPECT_EQ(grid.row_exponent, -9);
  EXPECT_TRUE(is_float16(grid.row_step, -9));
  // So that rows that come in parts have one exponent.
  const LevelGrid part = make_level_grid(1e-3 * rows, spread(5, 4), -9);
  EXPECT_EQ(part.row_exponent, -9);
  EXPECT_NE(make_level_grid(1e-3 * rows, spread(5, 4)).row_exponent,
            make_level_grid(rows, spread(5, 4)).row_exponent);
}

TEST(LevelGrid, HasAViewOnceItHasPrices) {
  LevelGrid grid = some_grid(4, 9);
  const kernels::LevelView view = grid.view(3);
  EXPECT_EQ(view.row_step[2], grid.row_step[2].item<float>());
  EXPECT_EQ(view.column_step[1], grid.column_step[4].item<float>());
  EXPECT_EQ(view.row_cost[2], 2.0F);
  EXPECT_EQ(view.column_cost[1], 104.0F);
  EXPECT_EQ(view.row_table[3], 3);
  EXPECT_EQ(view.column_table[0], -4);
  EXPECT_EQ(view.price[32], grid.price[1][0].item<float>());
  EXPECT_EQ(view.tables, 3);
  grid.price.reset();
  EXPECT_THAT(test::error_of(ErrorKind::kInternal, [&] { (void)grid.view(0); }),
              HasSubstr("levels have no prices"));
}

TEST(LevelGrid, RowsAndColumnsCanBeTakenInAnyOrder) {
  const LevelGrid grid = some_grid(6, 9);
  const torch::Tensor levels = at::randint(-9, 10, {6, 9}, torch::kInt16);
  const torch::Tensor values = values_of(levels, grid);
  const torch::Tensor order = torch::tensor({8, 0, 3, 1, 2, 7, 6, 5, 4}, torch::kInt64);
  const LevelGrid turned = grid.with_columns(order);
  EXPECT_TRUE(
      values_of(levels.index_select(1, order), turned).equal(values.index_select(1, order)));
  EXPECT_TRUE(turned.column_cost.equal(grid.column_cost.index_select(0, order)));
  EXPECT_TRUE(turned.column_table.equal(grid.column_table.index_select(0, order)));
  EXPECT_TRUE(turned.row_cost.equal(grid.row_cost));
  const torch::Tensor rows = torch::tensor({5, 2}, torch::kInt64);
  const LevelGrid some = grid.of_rows(rows);
  EXPECT_TRUE(values_of(levels.index_select(0, rows), some).equal(values.index_select(0, rows)));
  EXPECT_TRUE(some.row_cost.equal(grid.row_cost.index_select(0, rows)));
  EXPECT_TRUE(some.row_table.equal(grid.row_table.index_select(0, rows)));
  EXPECT_TRUE(some.column_table.equal(grid.column_table));
  // Of a grid without costs and prices.
  EXPECT_FALSE(make_level_grid(spread(6, 1), spread(9, 2)).of_rows(rows).row_cost.defined());
}

TEST(NearestLevels, AreWithinTheRange) {
  LevelGrid grid;
  grid.row_step = torch::tensor({0.5F, 2.0F});
  grid.column_step = torch::tensor({1.0F, 1.0F, 1.0F, 0.25F, 0.25F});
  const torch::Tensor weight =
      torch::tensor({{0.75F, 1.25F, -0.2F, 1e6F, -1e6F}, {5.0F, -3.0F, 0.9F, 16383.4F, 0.0F}});
  const torch::Tensor levels = nearest_levels(weight, grid);
  EXPECT_EQ(levels.scalar_type(), torch::kInt16);
  EXPECT_TRUE(
      levels.equal(torch::tensor({{2, 2, 0, 32767, -32767}, {2, -2, 0, 32767, 0}}, torch::kInt16)));
}

TEST(NearestLevels, OfRowsWithGapsAreTheSame) {
  const LevelGrid grid = make_level_grid(spread(6, 1), spread(9, 2));
  const torch::Tensor weight = test::normal(6, 9, 3) * 20.0;
  const torch::Tensor apart = weight.t().contiguous().t();
  ASSERT_NE(apart.stride(1), 1);
  EXPECT_TRUE(nearest_levels(apart, grid).equal(nearest_levels(weight, grid)));
  EXPECT_THROW((void)nearest_levels(weight.narrow(0, 0, 5), grid), Error);
}

TEST(ValuesOf, HaveTheRoundingsOfAFilesReader) {
  const LevelGrid grid = some_grid(30, 50);
  const torch::Tensor levels = at::randint(-32767, 32768, {30, 50}, torch::kInt16);
  const torch::Tensor values = values_of(levels, grid);
  EXPECT_EQ(values.scalar_type(), torch::kFloat32);
  int otherwise = 0;
  for (std::int64_t r = 0; r < 30; ++r) {
    for (std::int64_t j = 0; j < 50; ++j) {
      const auto row = grid.row_step[r].item<float>();
      const auto column = grid.column_step[j].item<float>();
      const auto level = static_cast<float>(levels[r][j].item<int>());
      const float step = row * column;
      const float value = step * level;
      ASSERT_EQ(values[r][j].item<float>(), value) << r << ", " << j;
      const float steps = column * level;
      otherwise += row * steps != value ? 1 : 0;
    }
  }
  EXPECT_GT(otherwise, 0) << "another order of the factors rounds otherwise";
  EXPECT_TRUE(nearest_levels(values, grid).equal(levels));
}

double bits_a_level(const torch::Tensor& levels) {
  return level_tables(levels).total_bits / static_cast<double>(levels.numel());
}

TEST(LevelTables, OfEqualLevelsAreNearlyFree) {
  EXPECT_LT(bits_a_level(at::zeros({100, 200}, torch::kInt16)), 0.01);
  // A sign is a bit of its own.
  EXPECT_NEAR(bits_a_level(at::full({100, 200}, -3, torch::kInt16)), 1.0, 0.01);
}

TEST(LevelTables, OfUniformMagnitudesAreTheirLogarithm) {
  for (const int magnitudes : {2, 7, 16, 31}) {
    const torch::Tensor levels = at::randint(
        0, magnitudes, {256, 256},
        at::detail::createCPUGenerator(static_cast<unsigned>(magnitudes)), torch::kInt16);
    const double expected = std::log2(magnitudes) + (magnitudes - 1.0) / magnitudes;
    // 65,536 levels in few tables: unseen and unevenly drawn ones take some hundred bits.
    EXPECT_NEAR(bits_a_level(levels), expected, 0.02) << magnitudes;
  }
}

TEST(LevelTables, CountLargeMagnitudesByOctave) {
  for (const std::int64_t octave : {0, 1, 5}) {
    const std::int64_t first = std::int64_t{48} << octave;
    const torch::Tensor levels =
        at::randint(first, 2 * first, {128, 128}, at::detail::createCPUGenerator(7), torch::kInt16);
    // One bucket; then the sign and the place within the octave.
    EXPECT_NEAR(bits_a_level(levels), 1.0 + std::log2(first), 0.01) << octave;
  }
  EXPECT_NEAR(bits_a_level(at::full({64, 64}, 32767, torch::kInt16)), 1.0 + std::log2(48.0 * 512.0),
              0.02);
}

// int16 on a CPU is counted by a kernel, as LibTorch's operations do it elsewhere.
TEST(LevelTables, OfBothWaysAreTheSame) {
  torch::Tensor levels = (test::normal(70, 41, 5) * 6.0).round().to(torch::kInt16);
  levels.narrow(0, 3, 2).mul_(900);
  levels[0][0] = 32767;
  levels[1][1] = -32767;
  const LevelTables ours = level_tables(levels);
  const LevelTables theirs = level_tables(levels.to(torch::kInt32));
  EXPECT_TRUE(ours.row_table.equal(theirs.row_table));
  EXPECT_TRUE(ours.column_table.equal(theirs.column_table));
  EXPECT_TRUE(ours.bits.equal(theirs.bits));
  EXPECT_EQ(ours.total_bits, theirs.total_bits);
}

/// Levels of a form, and what they take when the size of each is known.
struct Drawn {
  torch::Tensor levels;
  double ideal_bits = 0.0;
};

Drawn draw(const test::LevelForm& form, unsigned seed) {
  std::mt19937 engine(seed);
  const test::LevelSizes sizes = test::level_sizes(form, engine);
  const std::vector<std::int16_t> levels = test::random_levels(form, sizes, engine);
  return {torch::tensor(at::ArrayRef<std::int16_t>(levels), torch::kInt16)
              .view({form.rows, form.columns}),
          test::ideal_bits(form, sizes, levels)};
}

TEST(LevelTables, KnowTheSizesOfRowsAndColumns) {
  for (const double size : {0.3, 1.0, 4.0, 12.0}) {
    for (const double rows : {0.0, 0.8}) {
      for (const double columns : {0.0, 0.6}) {
        const Drawn drawn = draw({300, 400, size, true, rows, columns}, 11);
        const double taken = level_tables(drawn.levels).total_bits;
        SCOPED_TRACE(testing::Message() << size << ", spread " << rows << ", " << columns);
        // Classes of half octaves are up to a quarter off, and 16 tables are learned.
        EXPECT_LE(taken, 1.04 * drawn.ideal_bits);
        EXPECT_GE(taken, 0.98 * drawn.ideal_bits);
      }
    }
  }
}

TEST(LevelTables, DoNotLoseMuchOnLargeLevels) {
  for (const double size : {60.0, 400.0}) {
    const Drawn drawn = draw({300, 400, size, true, 0.3, 0.3}, 12);
    const double taken = level_tables(drawn.levels).total_bits;
    EXPECT_LE(taken, 1.04 * drawn.ideal_bits) << size;
    EXPECT_GE(taken, 0.98 * drawn.ideal_bits) << size;
  }
}

TEST(LevelTables, SayWhatALevelTakes) {
  // All rows and columns alike: one table, whose bits are the shares of the magnitudes.
  const Drawn drawn = draw({500, 600, 3.0, true, 0.0, 0.0}, 13);
  const LevelTables tables = level_tables(drawn.levels);
  const std::int32_t table =
      tables.row_table[0].item<std::int32_t>() + tables.column_table[0].item<std::int32_t>();
  const torch::Tensor magnitude = drawn.levels.abs();
  for (int k = 0; k < 12; ++k) {
    const double share = magnitude.eq(k).sum().item<double>() / 300'000.0;
    EXPECT_NEAR(tables.bits[table][k].item<double>(), -std::log2(share) + (k > 0 ? 1.0 : 0.0), 0.01)
        << k;
  }
}

TEST(LevelTables, LargerMagnitudesNeverTakeLess) {
  for (const double size : {0.2, 2.0, 20.0}) {
    const LevelTables tables = level_tables(draw({60, 70, size, true, 1.0, 0.5}, 14).levels);
    EXPECT_EQ(tables.bits.size(1), 32);
    EXPECT_GE(at::diff(tables.bits, 1, 1).min().item<double>(), 0.0) << size;
    EXPECT_GT(tables.bits.min().item<double>(), 0.0);
  }
  // Zeros that hardly occur are no dearer than ones.
  const LevelTables tables = level_tables(at::ones({50, 50}, torch::kInt16));
  EXPECT_GE(at::diff(tables.bits, 1, 1).min().item<double>(), 0.0);
}

TEST(LevelTables, ClassesFollowTheMeanMagnitude) {
  // Rows an octave apart are two classes apart, and columns add to that.
  torch::Tensor levels = at::full({3, 64}, 4, torch::kInt16);
  levels[1].mul_(2);
  levels[2].mul_(4);
  const LevelTables tables = level_tables(levels);
  const auto row = [&](int r) { return tables.row_table[r].item<int>(); };
  EXPECT_EQ(row(1) - row(0), 2);
  EXPECT_EQ(row(2) - row(1), 2);
  EXPECT_EQ(row(1), 8) << "the middle of 16";
  EXPECT_TRUE(tables.column_table.eq(0).all().item<bool>());
}

TEST(LevelPrices, AreBitsInUnitsOfASquaredLevel) {
  // At high rate a bit less doubles the step: D = 4^-b / 12, dD / db = -2 ln 2 D at step 1.
  EXPECT_NEAR(kBitPrice, 2.0 * std::log(2.0) / 12.0, 1e-15);
  const LevelTables tables = level_tables(draw({20, 30, 2.0, false, 0.5, 0.5}, 15).levels);
  LevelGrid grid = some_grid(20, 30);
  set_prices(grid, tables);
  EXPECT_TRUE(grid.row_table.equal(tables.row_table));
  EXPECT_TRUE(grid.column_table.equal(tables.column_table));
  EXPECT_EQ(grid.price.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(grid.price.is_contiguous());
  EXPECT_LE((grid.price / (kBitPrice * tables.bits) - 1.0).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(grid.view(0).tables, 16);
}

}  // namespace
}  // namespace sgpt_mi::quant
