#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::compress {

/// A compressed matrix on the CPU as the packed container takes it.
class CodedCopy {
 public:
  /// \param matrix   compressed, with stored scales when it is quantized.
  /// \param rounded  (rows, N) its weight in the type of the dense matrix.
  CodedCopy(const obs::CompressedMatrix& matrix, const torch::Tensor& rounded,
            const obs::CompressOptions& options, DType dtype);

  /// Points into this object.
  [[nodiscard]] const packing::CodedMatrix& view() const { return view_; }

 private:
  void take_codes(const obs::CompressedMatrix& matrix);
  void take_levels(const obs::CompressedMatrix& matrix);

  torch::Tensor codes_;
  torch::Tensor values_;
  torch::Tensor pruned_;
  torch::Tensor levels_;
  torch::Tensor scale_;
  torch::Tensor column_scale_;
  torch::Tensor zero_point_;
  torch::Tensor group_of_column_;
  std::vector<int> bits_of_group_;
  packing::CodedMatrix view_;
};

}  // namespace sgpt_mi::compress
