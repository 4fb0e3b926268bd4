#include "sgpt_mi/cpu_kernels/level_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::cpu_kernels {
namespace {

constexpr std::int64_t kRows = 150;
constexpr std::int64_t kColumns = 37;
constexpr LevelBuckets kBuckets{48, 10};

kernels::Backend threads(std::int64_t count) {
  kernels::Backend backend;
  backend.parallel_for = test::threaded_for(count);
  return backend;
}

/// Levels of all sizes, most of them small.
std::vector<std::int16_t> some_levels() {
  std::mt19937 engine(1);
  std::normal_distribution<double> normal;
  std::vector<std::int16_t> levels(static_cast<std::size_t>(kRows * kColumns));
  for (std::int16_t& level : levels) {
    const double wide = normal(engine) * std::exp(2.0 * normal(engine));
    level = static_cast<std::int16_t>(std::clamp(wide * 4.0, -32767.0, 32767.0));
  }
  levels[5] = 32767;
  levels[6] = -32767;
  return levels;
}

kernels::MatrixView<const std::int16_t> view_of(const std::vector<std::int16_t>& levels) {
  return {levels.data(), kRows, kColumns, kColumns};
}

std::vector<std::int16_t> nearest(const std::vector<float>& weight, float row_step,
                                  const std::vector<float>& column_step) {
  const auto columns = static_cast<std::int64_t>(weight.size());
  std::vector<std::int16_t> levels(weight.size());
  nearest_levels({weight.data(), 1, columns, columns}, &row_step, column_step.data(),
                 {levels.data(), 1, columns, columns}, {});
  return levels;
}

TEST(NearestLevels, ByHand) {
  // Steps of 0.5, 1 and 2.
  EXPECT_EQ(nearest({0.74F, -2.5F, 3.0F}, 0.5F, {1.0F, 2.0F, 4.0F}),
            (std::vector<std::int16_t>{1, -2, 2}));  // halves go to even
}

TEST(NearestLevels, AreCutAndDefined) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(nearest({1e9F, -1e9F, kInfinity, -kInfinity, 32767.4F,
                     std::numeric_limits<float>::quiet_NaN()},
                    1.0F, std::vector<float>(6, 1.0F)),
            (std::vector<std::int16_t>{32767, -32767, 32767, -32767, 32767, -32767}));
}

TEST(MagnitudeSums, AreExact) {
  const std::vector<std::int16_t> levels = some_levels();
  MagnitudeSums expected{std::vector<std::int64_t>(kRows), std::vector<std::int64_t>(kColumns)};
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const std::int64_t magnitude = std::abs(static_cast<int>(levels[i]));
    expected.rows[i / kColumns] += magnitude;
    expected.columns[i % kColumns] += magnitude;
  }
  for (const std::int64_t count : {1, 3}) {
    const MagnitudeSums sums = magnitude_sums(view_of(levels), threads(count));
    EXPECT_EQ(sums.rows, expected.rows);
    EXPECT_EQ(sums.columns, expected.columns);
  }
}

TEST(CountLevels, EveryLevelInItsTableAndBucket) {
  constexpr std::int32_t kTables = 5;
  const std::vector<std::int16_t> levels = some_levels();
  std::vector<std::int32_t> row(kRows);
  std::vector<std::int32_t> column(kColumns);
  for (std::size_t r = 0; r < row.size(); ++r) row[r] = static_cast<std::int32_t>(r % 7);
  for (std::size_t j = 0; j < column.size(); ++j) column[j] = static_cast<std::int32_t>(j % 4) - 2;
  std::vector<std::int64_t> expected(static_cast<std::size_t>(kTables * kBuckets.size()));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const int table = std::clamp(row[i / kColumns] + column[i % kColumns], 0, kTables - 1);
    const double magnitude = std::abs(static_cast<double>(levels[i]));
    const int bucket =
        magnitude < 48.0
            ? static_cast<int>(magnitude)
            : 48 + std::min(9, static_cast<int>(std::floor(std::log2(magnitude / 48.0))));
    ++expected[static_cast<std::size_t>(table * kBuckets.size() + bucket)];
  }
  ASSERT_GT(expected[static_cast<std::size_t>(kBuckets.size() - 1)], 0) << "the last octave";
  for (const std::int64_t count : {1, 3}) {
    EXPECT_EQ(count_levels(view_of(levels), {row.data(), column.data(), kTables}, kBuckets,
                           threads(count)),
              expected);
  }
}

TEST(LevelCounts, RefuseOtherShapesAndDevices) {
  const std::vector<std::int16_t> levels = some_levels();
  kernels::Backend device;
  device.cuda = true;
  EXPECT_THROW(static_cast<void>(magnitude_sums(view_of(levels), device)), Error);
  const std::vector<std::int32_t> none(kRows);
  EXPECT_THROW(static_cast<void>(
                   count_levels(view_of(levels), {none.data(), none.data(), 1}, kBuckets, device)),
               Error);
  EXPECT_THROW(
      static_cast<void>(count_levels(view_of(levels), {none.data(), none.data(), 0}, kBuckets, {})),
      Error);
  const test::Matrix<float> weight(2, 2);
  std::vector<std::int16_t> out(6);
  const float one[3] = {1.0F, 1.0F, 1.0F};
  EXPECT_THROW(nearest_levels(weight.const_view(), one, one, {out.data(), 2, 3, 3}, {}), Error);
}

}  // namespace
}  // namespace sgpt_mi::cpu_kernels
