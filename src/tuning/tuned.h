#pragma once

#include <torch/types.h>

#include "adam.h"
#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::tuning {

/// A vector that is tuned: start + unit * theta, unit the root mean square of start.
class TunedVector {
 public:
  explicit TunedVector(const torch::Tensor& start);

  /// As theta makes it at present, float32.
  [[nodiscard]] torch::Tensor value() const;
  /// Moves theta by the gradient, float32, with respect to value().
  void move(const torch::Tensor& gradient, const AdamStep& step);
  void scale(double factor) { theta_.scale(factor); }

 private:
  torch::Tensor start_;
  double unit_;
  Theta theta_;
};

/// The factors of a compressed matrix; masks, codes, zero points and whole-number scales stay.
///
/// A matrix with a grid has a factor e^theta for each of its scales. One in blocks has one for each
/// block's scale and, where its type has minima, one for each block's minimum; one of levels has
/// one for each row's and one for each column's step; a pruned matrix without codes has one for
/// each row.
class TunedMatrix {
 public:
  /// Keeps a reference to the matrix's tensors.
  explicit TunedMatrix(const obs::CompressedMatrix& matrix);

  [[nodiscard]] torch::Tensor value() const;
  void move(const torch::Tensor& gradient, const AdamStep& step);
  void scale(double factor);

  /// The matrix with scales as they are stored.
  [[nodiscard]] obs::CompressedMatrix settled() const;

 private:
  [[nodiscard]] torch::Tensor over_columns(const torch::Tensor& factors) const;
  [[nodiscard]] torch::Tensor over_factors(const torch::Tensor& values) const;
  [[nodiscard]] torch::Tensor offset_part() const;
  [[nodiscard]] obs::CompressedMatrix settled_grid() const;
  [[nodiscard]] obs::CompressedMatrix settled_blocks() const;
  [[nodiscard]] obs::CompressedMatrix settled_levels() const;

  obs::CompressedMatrix matrix_;
  torch::Tensor factor_of_column_;  ///< (N) int64; undefined: one factor a row
  Theta scale_theta_;
  Theta offset_theta_;
  Theta column_theta_;  ///< (1, N) of levels
};

}  // namespace sgpt_mi::tuning
