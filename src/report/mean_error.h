#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace sgpt_mi::report {

/// A mean with its standard error, sd / sqrt(n) with n - 1 degrees of freedom; 0 for one value.
struct MeanError {
  double mean = 0.0;
  double standard_error = 0.0;
  std::size_t count = 0;
};

/// Of at least one value.
[[nodiscard]] inline MeanError mean_error(std::span<const double> values) {
  MeanError result;
  result.count = values.size();
  const auto count = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / count;
  if (values.size() < 2) return result;
  double squares = 0.0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_error = std::sqrt(squares / (count - 1.0) / count);
  return result;
}

}  // namespace sgpt_mi::report
