#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cpu_kernels/bfloat16_sets.h"
#include "sgpt_mi/kernels/half.h"
#include "sgpt_mi/kernels/views.h"
#include "support/matrix.h"

namespace sgpt_mi::test {

/// Bit patterns of bfloat16 values, and the values.
struct Bfloat16Matrix {
  explicit Bfloat16Matrix(const Matrix<float>& from, std::int64_t rows, std::int64_t columns)
      : values(rows, columns), bits(static_cast<std::size_t>(rows * columns)) {
    for (std::int64_t t = 0; t < rows; ++t) {
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::uint16_t pattern = kernels::float_to_bfloat16(from(t, j));
        bits[static_cast<std::size_t>(t * columns + j)] = pattern;
        values(t, j) = kernels::bfloat16_to_float(pattern);
      }
    }
  }
  [[nodiscard]] kernels::MatrixView<const std::uint16_t> view() const {
    const kernels::MatrixView<const float> shape = values.const_view();
    return {bits.data(), shape.rows, shape.columns, shape.columns};
  }

  Matrix<float> values;
  std::vector<std::uint16_t> bits;
};

/// The instruction set of that name; one without functions where this machine cannot run it.
inline cpu_kernels::Bfloat16Set set_of(const std::string& name) {
  for (const cpu_kernels::Bfloat16Set& set : cpu_kernels::bfloat16_sets()) {
    if (set.name == name) return set;
  }
  return {};
}

inline std::string reason_without(const std::string& name) {
  return name + ": this processor has it not, or the system does not let this process use it";
}

/// Every sum on and above the diagonal within what float32 sums of so many products may be off.
inline void expect_second_moment(const Matrix<float>& x, std::int64_t tokens, std::int64_t channels,
                                 const Matrix<float>& moment) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  for (std::int64_t j = 0; j < channels; ++j) {
    for (std::int64_t k = j; k < channels; ++k) {
      double exact = 0.0;
      double magnitude = 0.0;
      for (std::int64_t t = 0; t < tokens; ++t) {
        const double product = static_cast<double>(x(t, j)) * x(t, k);
        exact += product;
        magnitude += std::fabs(product);
      }
      ASSERT_NEAR(moment(j, k), exact, static_cast<double>(tokens) * kEpsilon * magnitude)
          << j << ", " << k;
    }
  }
}

}  // namespace sgpt_mi::test
