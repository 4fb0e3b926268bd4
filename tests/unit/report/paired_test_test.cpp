#include "sgpt_mi/report/paired_test.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "support/temporary_folder.h"

namespace sgpt_mi::report {
namespace {

using Values = std::vector<double>;

struct Quantile {
  double df;
  double p;
  double t;
};

// Quantiles of the t distribution as in the printed tables (12.706, 9.925, 6.869 ...), with more
// digits from mpmath 1.3 at 30 digits.
TEST(StudentT, TabulatedQuantiles) {
  for (const Quantile& row : {Quantile{1, 0.05, 12.706204736174705},
                              {2, 0.01, 9.9248432009182931},
                              {5, 0.001, 6.8688266258811102},
                              {9, 0.1, 1.8331129326562372},
                              {10, 0.05, 2.2281388519862747},
                              {30, 0.01, 2.7499956535672253},
                              {120, 0.05, 1.9799304050824408},
                              {1000, 0.05, 1.9623390808264085}}) {
    EXPECT_NEAR(student_t_two_sided(row.t, row.df), row.p, 1e-11 * row.p) << row.df;
    EXPECT_EQ(student_t_two_sided(-row.t, row.df), student_t_two_sided(row.t, row.df));
  }
}

TEST(StudentT, ClosedFormsOfOneAndTwoDegrees) {
  for (const double t : {1e-9, 1e-3, 0.3, 0.999, 1.0, 1.001, 4.0, 50.0, 1e4}) {
    // 1 - 2 atan(t) / pi, written so that large t keeps its digits.
    const double one = 2.0 * std::atan(1.0 / t) / std::numbers::pi;
    EXPECT_NEAR(student_t_two_sided(t, 1), one, 1e-11 * one) << t;
    const double root = std::sqrt(2.0 + t * t);
    const double two = 2.0 / (root * (root + t));  // 1 - t / root
    EXPECT_NEAR(student_t_two_sided(t, 2), two, 1e-11 * two) << t;
  }
}

TEST(StudentT, TailsAndTheMiddleKeepTheirDigits) {
  EXPECT_NEAR(student_t_two_sided(20, 255), 3.6929323988991683e-54, 1e-65);
  EXPECT_NEAR(student_t_two_sided(50, 40), 1.1117395583690464e-37, 1e-48);
  EXPECT_NEAR(student_t_two_sided(0.5, 3), 0.65144796484815099, 1e-14);
  EXPECT_NEAR(student_t_two_sided(1e-8, 7), 0.99999999230017098, 1e-15);
  EXPECT_NEAR(student_t_two_sided(1e-3, 10000), 0.9992021355190525, 1e-13);
}

TEST(StudentT, Limits) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(student_t_two_sided(0.0, 5), 1.0);
  EXPECT_EQ(student_t_two_sided(infinity, 5), 0.0);
  EXPECT_EQ(student_t_two_sided(-infinity, 5), 0.0);
  EXPECT_EQ(student_t_two_sided(1e200, 5), 0.0);
  EXPECT_TRUE(std::isnan(student_t_two_sided(std::nan(""), 5)));
  (void)test::error_of(ErrorKind::kInternal, [] { (void)student_t_two_sided(1.0, 0.0); });
}

// Student's own example (1908, section IX): hours of sleep gained by ten patients with two drugs.
TEST(PairedTTest, StudentsSleepData) {
  const Values first{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const Values second{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const PairedTest test = paired_t_test(first, second);
  EXPECT_NEAR(test.mean_difference, -1.58, 1e-14);
  EXPECT_NEAR(test.standard_error, 0.38895872388839524, 1e-14);
  EXPECT_NEAR(test.t, -4.0621276833820361, 1e-13);
  EXPECT_EQ(test.degrees_of_freedom, 9);
  EXPECT_NEAR(test.p_value, 0.0028328901973842727, 1e-14);
  const PairedTest swapped = paired_t_test(second, first);
  EXPECT_EQ(swapped.t, -test.t);
  EXPECT_EQ(swapped.p_value, test.p_value);
}

TEST(PairedTTest, EqualDifferences) {
  const PairedTest same = paired_t_test(Values{1.0, 2.5, 7.0}, Values{1.0, 2.5, 7.0});
  EXPECT_EQ(same.mean_difference, 0.0);
  EXPECT_EQ(same.standard_error, 0.0);
  EXPECT_EQ(same.t, 0.0);
  EXPECT_EQ(same.p_value, 1.0);
  EXPECT_EQ(same.degrees_of_freedom, 2);
  const PairedTest lower = paired_t_test(Values{0.0, 0.0, 0.0}, Values{0.1, 0.1, 0.1});
  EXPECT_EQ(lower.mean_difference, -0.1);
  EXPECT_EQ(lower.standard_error, 0.0);
  EXPECT_EQ(lower.t, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(lower.p_value, 0.0);
}

TEST(PairedTTest, TwoPairsAndNan) {
  const PairedTest two = paired_t_test(Values{1.0, 4.0}, Values{0.0, 1.0});  // differences 1, 3
  EXPECT_DOUBLE_EQ(two.t, 2.0);
  EXPECT_NEAR(two.p_value, 1.0 - 2.0 / std::numbers::pi * std::atan(2.0), 1e-14);
  const PairedTest none = paired_t_test(Values{1.0, std::nan("")}, Values{0.0, 1.0});
  EXPECT_TRUE(std::isnan(none.mean_difference));
  EXPECT_TRUE(std::isnan(none.t));
  EXPECT_TRUE(std::isnan(none.p_value));
}

TEST(PairedTTest, RefusesUnequalOrShortSamples) {
  (void)test::error_of(ErrorKind::kInternal, [] {
    (void)paired_t_test(Values{1.0, 2.0}, Values{1.0});
  });
  (void)test::error_of(ErrorKind::kInternal, [] { (void)paired_t_test(Values{1.0}, Values{2.0}); });
  (void)test::error_of(ErrorKind::kInternal, [] { (void)paired_t_test(Values{}, Values{}); });
}

}  // namespace
}  // namespace sgpt_mi::report
