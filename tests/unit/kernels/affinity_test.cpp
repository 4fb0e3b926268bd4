#include "sgpt_mi/kernels/affinity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "support/matrix.h"
#include "support/threads.h"

namespace sgpt_mi::kernels {
namespace {

using test::Matrix;

struct Found {
  std::vector<double> degree;
  std::vector<double> inverse_root;
};

Found degrees_of(Matrix<float>& affinity, const Backend& backend = {}) {
  const auto rows = static_cast<std::size_t>(affinity.rows());
  Found found{std::vector<double>(rows), std::vector<double>(rows)};
  find_degrees({affinity.const_view(), found.degree.data(), found.inverse_root.data()}, backend);
  return found;
}

TEST(FindDegrees, ThreeNodesByHand) {
  Matrix<float> affinity(3, 3, 0.0F, 2);
  affinity(0, 1) = affinity(1, 0) = 0.25F;
  const Found found = degrees_of(affinity);
  EXPECT_EQ(found.degree, (std::vector<double>{0.25, 0.25, 0.0}));
  EXPECT_EQ(found.inverse_root, (std::vector<double>{2.0, 2.0, 0.0})) << "node 2 is isolated";
}

TEST(FindDegrees, SumsOfEveryLength) {
  for (const std::int64_t size : {1, 31, 32, 33, 100}) {
    Matrix<float> affinity = test::normal_matrix(size, size, static_cast<unsigned>(size));
    const Found found = degrees_of(affinity);
    for (std::int64_t i = 0; i < size; ++i) {
      long double sum = 0.0L;
      long double magnitude = 0.0L;
      for (std::int64_t j = 0; j < size; ++j) {
        sum += affinity(i, j);
        magnitude += std::abs(affinity(i, j));
      }
      const double tolerance = static_cast<double>(magnitude) * static_cast<double>(size) *
                               std::numeric_limits<double>::epsilon();
      EXPECT_NEAR(found.degree[static_cast<std::size_t>(i)], static_cast<double>(sum), tolerance);
    }
  }
}

TEST(FindDegrees, DoesNotDependOnThreads) {
  Matrix<float> affinity = test::normal_matrix(200, 200, 7);
  Backend threaded;
  threaded.parallel_for = test::threaded_for(3);
  EXPECT_EQ(degrees_of(affinity).degree, degrees_of(affinity, threaded).degree);
}

TEST(ScaleRows, MultipliesInDoubleAndRoundsOnce) {
  Matrix<double> values(2, 3, 0.0, 1);
  values(0, 2) = 1.0 + 0x1p-30;
  values(1, 0) = 3.0;
  Matrix<float> scaled(2, 3, 9.0F, 2);
  const std::vector<double> factor = {1.0 - 0x1p-30, 0.1};
  scale_rows({values.const_view(), factor.data(), scaled.view()}, {});
  EXPECT_EQ(scaled(0, 2), 1.0F);
  EXPECT_EQ(scaled(1, 0), static_cast<float>(0.1 * 3.0));
  EXPECT_EQ(scaled(1, 1), 0.0F);
  EXPECT_TRUE(scaled.padding_is(9.0F));
}

TEST(ScaleRows, RefusesShapesThatDisagree) {
  Matrix<double> values(2, 3);
  Matrix<float> scaled(3, 2);
  const std::vector<double> factor(2);
  EXPECT_THROW(scale_rows({values.const_view(), factor.data(), scaled.view()}, {}), Error);
}

}  // namespace
}  // namespace sgpt_mi::kernels
