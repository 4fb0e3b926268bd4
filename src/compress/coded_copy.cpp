#include "coded_copy.h"

#include <ATen/ops/zeros.h>

#include <cmath>
#include <span>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::compress {
namespace {

torch::Tensor on_host(const torch::Tensor& tensor, torch::ScalarType type) {
  return tensor.to(torch::kCPU, type).contiguous();
}

template <typename T>
std::span<const T> elements(const torch::Tensor& tensor) {
  return {static_cast<const T*>(tensor.const_data_ptr()), static_cast<std::size_t>(tensor.numel())};
}

/// The float16 patterns of numbers that are such times 2 to a power.
torch::Tensor patterns_of(const torch::Tensor& numbers, int exponent) {
  return on_host(numbers.to(torch::kFloat64) * std::ldexp(1.0, -exponent), torch::kFloat16);
}

}  // namespace

CodedCopy::CodedCopy(const obs::CompressedMatrix& matrix, const torch::Tensor& rounded,
                     const obs::CompressOptions& options, DType dtype, bool entropy,
                     SharedLevels coded)
    : coded_(std::move(coded)) {
  view_.rows = rounded.size(0);
  view_.columns = rounded.size(1);
  view_.dtype = dtype;
  if (matrix.level_grid) {
    take_levels(matrix);
    code_levels();
    return;
  }
  if (entropy && matrix.codes.defined()) {
    take_levels_of_codes(matrix);
    code_levels();
    return;
  }
  if (options.prunes()) {
    pruned_ = on_host(matrix.pruned, torch::kUInt8);
    view_.pruned = elements<std::uint8_t>(pruned_);
  }
  view_.prune_n = static_cast<int>(options.prune_n);
  view_.prune_m = static_cast<int>(options.prune_m);
  view_.symmetric = options.symmetric;
  if (matrix.codes.defined()) {
    take_codes(matrix);
  } else {
    values_ = rounded.to(torch::kCPU).contiguous();
    view_.values = {static_cast<const std::byte*>(values_.const_data_ptr()), values_.nbytes()};
  }
}

void CodedCopy::take_codes(const obs::CompressedMatrix& matrix) {
  ensure(matrix.scale_exponent.has_value(), "pipeline: a matrix to pack has no stored scales");
  codes_ = on_host(matrix.codes, torch::kUInt8);
  scale_ = patterns_of(matrix.scale, *matrix.scale_exponent);
  zero_point_ = on_host(matrix.zero_point, torch::kUInt8);
  group_of_column_ = on_host(matrix.group_of_column, torch::kInt32);
  bits_of_group_ = matrix.bits_of_group;
  view_.codes = elements<std::uint8_t>(codes_);
  view_.grid_rows = scale_.size(0);
  view_.scale = elements<std::uint16_t>(scale_);
  view_.scale_exponent = *matrix.scale_exponent;
  view_.zero_point = elements<std::uint8_t>(zero_point_);
  view_.group_of_column = elements<std::int32_t>(group_of_column_);
  view_.bits_of_group = bits_of_group_;
}

void CodedCopy::take_levels(const obs::CompressedMatrix& matrix) {
  const quant::LevelGrid& grid = *matrix.level_grid;
  levels_ = on_host(matrix.levels, torch::kInt16);
  scale_ = patterns_of(grid.row_step, grid.row_exponent);
  column_scale_ = patterns_of(grid.column_step, grid.column_exponent);
  group_of_column_ = at::zeros({view_.columns}, torch::kInt32);
  view_.levels = elements<std::int16_t>(levels_);
  view_.grid_rows = view_.rows;
  view_.scale = elements<std::uint16_t>(scale_);
  view_.scale_exponent = grid.row_exponent;
  view_.column_scale = elements<std::uint16_t>(column_scale_);
  view_.column_exponent = grid.column_exponent;
  view_.group_of_column = elements<std::int32_t>(group_of_column_);
}

void CodedCopy::take_levels_of_codes(const obs::CompressedMatrix& matrix) {
  take_codes(matrix);
  const torch::Tensor zero = matrix.zero_point.index_select(1, matrix.group_of_column);
  levels_ = on_host((matrix.codes.to(torch::kFloat32) - zero).masked_fill_(matrix.pruned, 0.0),
                    torch::kInt16);
  view_.levels = elements<std::int16_t>(levels_);
  view_.codes = {};
  view_.zero_point = {};
  view_.bits_of_group = {};
}

void CodedCopy::code_levels() {
  if (!coded_) {
    coded_ = std::make_shared<const entropy::CodedLevels>(entropy::encode_levels(
        view_.levels, view_.rows, view_.columns, quant::backend_of(levels_).parallel_for));
  }
  view_.coded = coded_.get();
}

packing::PackedSize CodedCopy::size(const std::string& name,
                                    const formats::GridLimits& grids) const {
  if (view_.levels.empty()) return grids.matrix_size(packing::packed_shape(view_));
  return packing::packed_size(packing::pack_matrix(name, view_));
}

}  // namespace sgpt_mi::compress
