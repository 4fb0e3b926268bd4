#include "sgpt_mi/report/paired_test.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <unsupported/Eigen/SpecialFunctions>
#include <vector>

#include "mean_error.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::report {

double student_t_two_sided(double t, double degrees_of_freedom) {
  ensure(degrees_of_freedom > 0.0, "report: a t distribution without degrees of freedom");
  if (std::isnan(t)) return t;
  const double df = degrees_of_freedom;
  if (std::isinf(t)) return 0.0;
  // Near 0, x is near 1 and would lose the digits of t: there the complement is exact.
  if (std::abs(t) < 1.0) {
    return 1.0 - Eigen::numext::betainc(0.5, df / 2.0, t * t / (df + t * t));
  }
  return Eigen::numext::betainc(df / 2.0, 0.5, df / (df + t * t));
}

PairedTest paired_t_test(std::span<const double> first, std::span<const double> second) {
  ensure(first.size() == second.size(), "report: a paired test of samples of different lengths");
  ensure(first.size() >= 2, "report: a paired test of fewer than 2 pairs");
  std::vector<double> differences;
  differences.reserve(first.size());
  for (std::size_t i = 0; i < first.size(); ++i) differences.push_back(first[i] - second[i]);
  const bool all_equal = std::adjacent_find(differences.begin(), differences.end(),
                                            std::not_equal_to<>()) == differences.end();
  // Equal values are their own mean, which their sum divided by their number need not be.
  const MeanError difference =
      all_equal ? MeanError{differences.front(), 0.0, differences.size()} : mean_error(differences);
  PairedTest test;
  test.mean_difference = difference.mean;
  test.standard_error = difference.standard_error;
  test.degrees_of_freedom = static_cast<std::int64_t>(first.size()) - 1;
  if (test.standard_error == 0.0) {
    if (test.mean_difference == 0.0) return test;
    test.t = std::copysign(std::numeric_limits<double>::infinity(), test.mean_difference);
    test.p_value = 0.0;
    return test;
  }
  test.t = test.mean_difference / test.standard_error;
  test.p_value = student_t_two_sided(test.t, static_cast<double>(test.degrees_of_freedom));
  return test;
}

}  // namespace sgpt_mi::report
