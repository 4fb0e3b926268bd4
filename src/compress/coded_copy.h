#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/formats/grid_limits.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::compress {

/// Levels as they are coded; null: they have not been.
using SharedLevels = std::shared_ptr<const entropy::CodedLevels>;

/// A compressed matrix on the CPU as the packed container takes it.
class CodedCopy {
 public:
  /// \param matrix   compressed, with stored scales when it is quantized.
  /// \param rounded  (rows, N) its weight in the type of the dense matrix.
  /// \param entropy  codes of fixed widths become levels, which are entropy-coded.
  /// \param coded    of another copy of the same levels: they are not coded again.
  CodedCopy(const obs::CompressedMatrix& matrix, const torch::Tensor& rounded,
            const obs::CompressOptions& options, DType dtype, bool entropy,
            SharedLevels coded = nullptr);

  /// Points into this object.
  [[nodiscard]] const packing::CodedMatrix& view() const { return view_; }

  /// The levels, coded; null where there are none.
  [[nodiscard]] const SharedLevels& coded() const { return coded_; }

  /// What it takes as matrix `name` of a format.
  [[nodiscard]] packing::PackedSize size(const std::string& name,
                                         const formats::GridLimits& grids) const;

 private:
  void take_codes(const obs::CompressedMatrix& matrix);
  void take_levels(const obs::CompressedMatrix& matrix);
  void take_levels_of_codes(const obs::CompressedMatrix& matrix);
  void code_levels();

  torch::Tensor codes_;
  torch::Tensor values_;
  torch::Tensor pruned_;
  torch::Tensor levels_;
  torch::Tensor scale_;
  torch::Tensor column_scale_;
  torch::Tensor zero_point_;
  torch::Tensor group_of_column_;
  std::vector<int> bits_of_group_;
  SharedLevels coded_;
  packing::CodedMatrix view_;
};

}  // namespace sgpt_mi::compress
