#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::compress {

/// A compressed matrix on the CPU as the packed container takes it.
class CodedCopy {
 public:
  /// \param matrix   compressed, with stored scales when it is quantized.
  /// \param rounded  (rows, N) its weight in the type of the dense matrix.
  /// \param entropy  codes of fixed widths become levels, which are entropy-coded.
  CodedCopy(const obs::CompressedMatrix& matrix, const torch::Tensor& rounded,
            const obs::CompressOptions& options, DType dtype, bool entropy);

  /// Points into this object.
  [[nodiscard]] const packing::CodedMatrix& view() const { return view_; }

  /// What it takes as matrix `name` of a format: of levels by coding them.
  [[nodiscard]] packing::PackedSize size(const std::string& name,
                                         const formats::GridLimits& grids) const;

 private:
  void take_codes(const obs::CompressedMatrix& matrix);
  void take_levels(const obs::CompressedMatrix& matrix);
  void take_levels_of_codes(const obs::CompressedMatrix& matrix);

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
