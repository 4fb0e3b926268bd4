#include "sgpt_mi/kernels/fit_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/arithmetic.h"
#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
namespace {

using test::Matrix;

struct Fitted {
  Matrix<float> scale;
  Matrix<float> zero;
};

struct Settings {
  std::int64_t group_size;
  float max_code;
  bool symmetric = false;
  int clip_trials = 1;
  double clip_step = 0.01;
  const float* column_weight = nullptr;
};

Fitted fit(const Matrix<float>& weight, const Settings& settings, const Backend& backend = {}) {
  const std::int64_t groups = (weight.columns() + settings.group_size - 1) / settings.group_size;
  Fitted fitted{{weight.rows(), groups}, {weight.rows(), groups}};
  GridFit request;
  request.weight = weight.const_view();
  request.scale = fitted.scale.view();
  request.zero = fitted.zero.view();
  request.group_size = settings.group_size;
  request.max_code = settings.max_code;
  request.symmetric = settings.symmetric;
  request.clip_trials = settings.clip_trials;
  request.clip_step = settings.clip_step;
  request.column_weight = settings.column_weight;
  fit_grid(request, backend);
  return fitted;
}

Matrix<float> row_of(std::initializer_list<float> values) {
  Matrix<float> row(1, static_cast<std::int64_t>(values.size()));
  std::int64_t j = 0;
  for (const float value : values) row(0, j++) = value;
  return row;
}

/// Sum of column_weight * |q - w|^2.4 of one group in float64 with std::pow.
double error_of(const Matrix<float>& weight, std::int64_t row, const Settings& s, double scale,
                double zero, std::int64_t first) {
  double sum = 0.0;
  for (std::int64_t j = first; j < first + s.group_size; ++j) {
    const double code = std::fmin(std::fmax(std::nearbyint(weight(row, j) / scale) + zero, 0.0),
                                  static_cast<double>(s.max_code));
    const double factor = s.column_weight != nullptr ? s.column_weight[j] : 1.0;
    sum += factor * std::pow(std::abs(scale * (code - zero) - weight(row, j)), 2.4);
  }
  return sum;
}

TEST(FitGrid, SpreadsTheRangeOverTheCodes) {
  const Fitted grid = fit(row_of({-1.0F, 0.5F, 2.0F}), {3, 15.0F});
  EXPECT_EQ(grid.scale(0, 0), 3.0F / 15.0F);
  EXPECT_EQ(grid.zero(0, 0), 5.0F);
}

TEST(FitGrid, WidensTheRangeToZero) {
  const Fitted positive = fit(row_of({2.0F, 3.0F}), {2, 3.0F});
  EXPECT_EQ(positive.scale(0, 0), 1.0F);
  EXPECT_EQ(positive.zero(0, 0), 0.0F);
  const Fitted negative = fit(row_of({-2.0F, -3.0F}), {2, 3.0F});
  EXPECT_EQ(negative.scale(0, 0), 1.0F);
  EXPECT_EQ(negative.zero(0, 0), 3.0F);
}

TEST(FitGrid, RoundsAHalfZeroPointToEven) {
  const Fitted grid = fit(row_of({-2.5F, 0.5F}), {2, 3.0F});  // -min / scale = 2.5
  EXPECT_EQ(grid.zero(0, 0), 2.0F);
}

TEST(FitGrid, GivesARowWithoutRangeTheUnitRange) {
  for (const float value : {0.0F, 1.0e-40F}) {
    const Fitted grid = fit(row_of({value, 0.0F}), {2, 3.0F});
    EXPECT_EQ(grid.scale(0, 0), 2.0F / 3.0F);
    EXPECT_EQ(grid.zero(0, 0), 2.0F);  // 1.5 to even
  }
}

TEST(FitGrid, CentresTheSymmetricGrid) {
  for (const float other : {-1.0F, 1.0F}) {
    const Fitted grid = fit(row_of({other, 2.0F}), {2, 15.0F, true});
    EXPECT_EQ(grid.scale(0, 0), 4.0F / 15.0F);
    EXPECT_EQ(grid.zero(0, 0), 8.0F);
  }
}

TEST(FitGrid, FitsGroupsSeparately) {
  const Fitted grid = fit(row_of({0.0F, 3.0F, -6.0F, 0.0F}), {2, 3.0F});
  EXPECT_EQ(grid.scale(0, 0), 1.0F);
  EXPECT_EQ(grid.zero(0, 0), 0.0F);
  EXPECT_EQ(grid.scale(0, 1), 2.0F);
  EXPECT_EQ(grid.zero(0, 1), 3.0F);
}

TEST(FitGrid, TheLastGroupMayBeSmaller) {
  const Fitted grid = fit(row_of({0.0F, 3.0F, 1.0F, -6.0F}), {3, 3.0F});
  EXPECT_EQ(grid.scale(0, 0), 1.0F);
  EXPECT_EQ(grid.zero(0, 0), 0.0F);
  EXPECT_EQ(grid.scale(0, 1), 2.0F);
  EXPECT_EQ(grid.zero(0, 1), 3.0F);
}

TEST(FitGrid, ClipSearchKeepsAGridWithoutError) {
  const Fitted grid = fit(row_of({0.0F, 1.0F, 2.0F, 3.0F}), {4, 3.0F, false, 80});
  EXPECT_EQ(grid.scale(0, 0), 1.0F);
}

/// The least error of the ranges that the clip search compares, for columns first, first + 1 ...
double least_error(const Matrix<float>& weight, std::int64_t row, const Settings& s,
                   std::int64_t first) {
  float low = 0.0F;
  float high = 0.0F;
  for (std::int64_t j = first; j < first + s.group_size; ++j) {
    low = std::fmin(low, weight(row, j));
    high = std::fmax(high, weight(row, j));
  }
  double least = HUGE_VAL;
  for (int i = 0; i < s.clip_trials; ++i) {
    const auto share = static_cast<float>(1.0 - i * s.clip_step);
    const float scale = (share * high - share * low) / s.max_code;
    const float zero = std::nearbyint(-(share * low) / scale);
    least = std::fmin(least, error_of(weight, row, s, scale, zero, first));
  }
  return least;
}

TEST(FitGrid, ClipSearchFindsTheLeastErrorOfItsRanges) {
  const Matrix<float> weight = test::normal_matrix(20, 74, 3);
  const Fitted plain = fit(weight, {37, 7.0F});
  const Matrix<float> normal = test::normal_matrix(1, 74, 6);
  std::vector<float> factors;
  for (std::int64_t j = 0; j < 74; ++j) factors.push_back(std::exp(2.0F * normal(0, j)));
  for (const Settings& settings :
       {Settings{37, 7.0F, false, 80, 0.01}, Settings{37, 7.0F, false, 32, 0.025},
        Settings{37, 7.0F, false, 32, 0.025, factors.data()}}) {
    SCOPED_TRACE(testing::Message() << settings.clip_trials << " trials"
                                    << (settings.column_weight != nullptr ? ", weighted" : ""));
    const Fitted grid = fit(weight, settings);
    int narrower = 0;
    for (std::int64_t row = 0; row < weight.rows(); ++row) {
      for (std::int64_t group = 0; group < 2; ++group) {
        const double least = least_error(weight, row, settings, group * 37);
        const double found = error_of(weight, row, settings, grid.scale(row, group),
                                      grid.zero(row, group), group * 37);
        // Powers are accurate to 1e-6, so another range may win only within that.
        EXPECT_NEAR(found, least, 4e-6 * least) << "row " << row << ", group " << group;
        narrower += grid.scale(row, group) < plain.scale(row, group) ? 1 : 0;
      }
    }
    EXPECT_GT(narrower, 30) << "3-bit grids of normal weights nearly always gain from clipping";
  }
}

TEST(FitGrid, SharesOfTheGptqSearchAreHundredths) {
  for (int i = 0; i < 80; ++i) {
    EXPECT_EQ(clip_share(i, 0.01), static_cast<float>(1.0 - i / 100.0)) << i;
  }
}

TEST(FitGrid, DoesNotDependOnThreads) {
  const Matrix<float> weight = test::normal_matrix(33, 48, 4);
  const Settings settings{16, 15.0F, false, 80};
  Backend threaded;
  threaded.parallel_for = test::threaded_for(4);
  const Fitted one = fit(weight, settings);
  const Fitted four = fit(weight, settings, threaded);
  for (std::int64_t row = 0; row < 33; ++row) {
    for (std::int64_t group = 0; group < 3; ++group) {
      EXPECT_EQ(one.scale(row, group), four.scale(row, group));
      EXPECT_EQ(one.zero(row, group), four.zero(row, group));
    }
  }
}

TEST(FitGrid, RefusesAClipSearchBelowAFifth) {
  const Matrix<float> weight(2, 10);
  EXPECT_NO_THROW(fit(weight, {5, 15.0F, false, 81, 0.01}));
  EXPECT_THROW(fit(weight, {5, 15.0F, false, 82, 0.01}), Error);
  EXPECT_THROW(fit(weight, {5, 15.0F, false, 2, -0.1}), Error);
  EXPECT_THROW(fit(weight, {5, 15.0F, false, 0}), Error);
}

TEST(FitGrid, RefusesGroupsThatDoNotCoverTheColumns) {
  const Matrix<float> weight(2, 10);
  for (const std::int64_t groups : {2, 4}) {
    Matrix<float> scale(2, groups);
    Matrix<float> zero(2, groups);
    GridFit request;
    request.weight = weight.const_view();
    request.scale = scale.view();
    request.zero = zero.view();
    request.group_size = 4;
    request.max_code = 15.0F;
    EXPECT_THROW(fit_grid(request, {}), Error) << groups;
  }
  EXPECT_NO_THROW(fit(Matrix<float>(0, 10), {5, 15.0F}));
}

}  // namespace
}  // namespace sgpt_mi::kernels
