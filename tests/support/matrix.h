#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::test {

/// A row-major matrix that owns its values and can be padded: rows start `stride` values apart, and
/// the values between and behind them can be checked for stray writes.
template <typename T>
class Matrix {
 public:
  Matrix(std::int64_t rows, std::int64_t columns, T value = T{}, std::int64_t padding = 0)
      : rows_(rows),
        columns_(columns),
        stride_(columns + padding),
        values_(static_cast<std::size_t>(rows * stride_ + padding)) {
    for (Cell& cell : values_) cell.value = value;
  }

  T& operator()(std::int64_t row, std::int64_t column) {
    return values_[static_cast<std::size_t>(row * stride_ + column)].value;
  }
  const T& operator()(std::int64_t row, std::int64_t column) const {
    return values_[static_cast<std::size_t>(row * stride_ + column)].value;
  }

  [[nodiscard]] kernels::MatrixView<T> view() {
    return {values_.empty() ? nullptr : &values_.front().value, rows_, columns_, stride_};
  }
  [[nodiscard]] kernels::MatrixView<const T> const_view() const {
    return {values_.empty() ? nullptr : &values_.front().value, rows_, columns_, stride_};
  }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }

  /// Whether all values outside the columns equal `value`.
  [[nodiscard]] bool padding_is(T value) const {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const bool inside = static_cast<std::int64_t>(i) < rows_ * stride_ &&
                          static_cast<std::int64_t>(i) % stride_ < columns_;
      if (!inside && values_[i].value != value) return false;
    }
    return true;
  }

 private:
  struct Cell {  // a vector of cells, because a vector of bool has no addresses
    T value;
  };

  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t stride_;
  std::vector<Cell> values_;
};

/// Standard normal values from a seed.
template <typename T = float>
Matrix<T> normal_matrix(std::int64_t rows, std::int64_t columns, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  Matrix<T> matrix(rows, columns);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) matrix(i, j) = static_cast<T>(normal(engine));
  }
  return matrix;
}

}  // namespace sgpt_mi::test
