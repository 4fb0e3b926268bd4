#include "sgpt_mi/kernels/fit_grid.h"

#include <gtest/gtest.h>

#include <cmath>

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
  bool clip_search = false;
};

Fitted fit(const Matrix<float>& weight, const Settings& settings, const Backend& backend = {}) {
  const std::int64_t groups = weight.columns() / settings.group_size;
  Fitted fitted{{weight.rows(), groups}, {weight.rows(), groups}};
  GridFit request;
  request.weight = weight.const_view();
  request.scale = fitted.scale.view();
  request.zero = fitted.zero.view();
  request.group_size = settings.group_size;
  request.max_code = settings.max_code;
  request.symmetric = settings.symmetric;
  request.clip_search = settings.clip_search;
  fit_grid(request, backend);
  return fitted;
}

Matrix<float> row_of(std::initializer_list<float> values) {
  Matrix<float> row(1, static_cast<std::int64_t>(values.size()));
  std::int64_t j = 0;
  for (const float value : values) row(0, j++) = value;
  return row;
}

/// Sum of |q - w|^2.4 of one group in float64 with std::pow.
double error_of(const Matrix<float>& weight, std::int64_t row, const Settings& s, double scale,
                double zero, std::int64_t first) {
  double sum = 0.0;
  for (std::int64_t j = first; j < first + s.group_size; ++j) {
    const double code = std::fmin(std::fmax(std::nearbyint(weight(row, j) / scale) + zero, 0.0),
                                  static_cast<double>(s.max_code));
    sum += std::pow(std::abs(scale * (code - zero) - weight(row, j)), 2.4);
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

TEST(FitGrid, ClipSearchKeepsAGridWithoutError) {
  const Fitted grid = fit(row_of({0.0F, 1.0F, 2.0F, 3.0F}), {4, 3.0F, false, true});
  EXPECT_EQ(grid.scale(0, 0), 1.0F);
}

TEST(FitGrid, ClipSearchFindsTheLeastErrorOfTheEightyRanges) {
  const Matrix<float> weight = test::normal_matrix(20, 74, 3);
  const Settings settings{37, 7.0F, false, true};
  const Fitted plain = fit(weight, {37, 7.0F});
  const Fitted grid = fit(weight, settings);
  int narrower = 0;
  for (std::int64_t row = 0; row < weight.rows(); ++row) {
    for (std::int64_t group = 0; group < 2; ++group) {
      float low = 0.0F;
      float high = 0.0F;
      for (std::int64_t j = group * 37; j < group * 37 + 37; ++j) {
        low = std::fmin(low, weight(row, j));
        high = std::fmax(high, weight(row, j));
      }
      double least = HUGE_VAL;
      for (int i = 0; i < 80; ++i) {
        const auto share = static_cast<float>(1.0 - i / 100.0);
        const float scale = (share * high - share * low) / 7.0F;
        const float zero = std::nearbyint(-(share * low) / scale);
        least = std::fmin(least, error_of(weight, row, settings, scale, zero, group * 37));
      }
      const double found = error_of(weight, row, settings, grid.scale(row, group),
                                    grid.zero(row, group), group * 37);
      // Powers are accurate to 1e-6, so another range may win only within that.
      EXPECT_NEAR(found, least, 4e-6 * least) << "row " << row << ", group " << group;
      narrower += grid.scale(row, group) < plain.scale(row, group) ? 1 : 0;
    }
  }
  EXPECT_GT(narrower, 30) << "3-bit grids of normal weights nearly always gain from clipping";
}

TEST(FitGrid, DoesNotDependOnThreads) {
  const Matrix<float> weight = test::normal_matrix(33, 48, 4);
  const Settings settings{16, 15.0F, false, true};
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

TEST(FitGrid, RefusesGroupsThatDoNotCoverTheColumns) {
  const Matrix<float> weight(2, 10);
  EXPECT_THROW(fit(weight, {4, 15.0F}), Error);
  EXPECT_NO_THROW(fit(Matrix<float>(0, 10), {5, 15.0F}));
}

}  // namespace
}  // namespace sgpt_mi::kernels
