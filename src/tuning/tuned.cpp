#include "tuned.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <array>

#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::tuning {
namespace {

/// The full rate of theta: about the share of a factor. Chosen by the divergence on
/// windows that were not tuned on.
constexpr double kRate = 2e-3;

double root_mean_square(const torch::Tensor& values) {
  return values.to(torch::kFloat64).square().mean().sqrt().item<double>();
}

std::array<std::int64_t, 2> factor_sizes(const obs::CompressedMatrix& matrix) {
  if (matrix.blocks) {
    return {matrix.blocks->super_scale.size(0), matrix.blocks->super_scale.size(1)};
  }
  if (!matrix.codes.defined()) return {matrix.weight.size(0), 1};
  return {matrix.scale.size(0), matrix.scale.size(1)};
}

/// The grid that a matrix's values are on.
quant::Grid grid_of(const obs::CompressedMatrix& matrix) {
  quant::Grid grid;
  grid.scale = matrix.scale;
  grid.offset = matrix.offset;
  grid.zero_point = matrix.zero_point;
  grid.group_of_column = matrix.group_of_column;
  grid.bits_of_group = matrix.bits_of_group;
  grid.blocks = matrix.blocks;
  return grid;
}

/// Super-block factors times e^theta, as they are stored: binary16.
torch::Tensor stored_factors(const torch::Tensor& factors, const torch::Tensor& theta) {
  return (factors * theta.exp()).to(torch::kFloat16).to(torch::kFloat32);
}

}  // namespace

TunedVector::TunedVector(const torch::Tensor& start)
    : start_(start.to(torch::kFloat32)),
      unit_(root_mean_square(start_)),
      theta_(start_.sizes(), start_.device(), kRate) {}

torch::Tensor TunedVector::value() const { return start_ + unit_ * theta_.value(); }

void TunedVector::move(const torch::Tensor& gradient, const AdamStep& step) {
  theta_.move(gradient * unit_, step);
}

TunedMatrix::TunedMatrix(const obs::CompressedMatrix& matrix)
    : matrix_(matrix),
      scale_theta_(factor_sizes(matrix), matrix.weight.device(), kRate),
      offset_theta_(factor_sizes(matrix), matrix.weight.device(), kRate),
      column_theta_({1, matrix.level_grid ? matrix.weight.size(1) : 1}, matrix.weight.device(),
                    kRate) {
  if (matrix_.blocks) {
    factor_of_column_ =
        at::arange(matrix_.weight.size(1), matrix_.weight.options().dtype(torch::kInt64))
            .floor_divide(matrix_.blocks->type->block_elements);
  } else if (matrix_.codes.defined() && matrix_.scale.size(1) > 1) {
    factor_of_column_ = matrix_.group_of_column.to(torch::kInt64);
  }
}

/// The values' offsets (rows or 1, N); undefined without offsets.
torch::Tensor TunedMatrix::offset_part() const {
  if (!matrix_.offset.defined()) return {};
  return matrix_.offset.index_select(1, matrix_.group_of_column);
}

/// (rows or 1, factors) to (rows or 1, N or 1).
torch::Tensor TunedMatrix::over_columns(const torch::Tensor& factors) const {
  return factor_of_column_.defined() ? factors.index_select(1, factor_of_column_) : factors;
}

/// The sums of (rows, N) over the values that share a factor.
torch::Tensor TunedMatrix::over_factors(const torch::Tensor& values) const {
  const torch::Tensor& theta = scale_theta_.value();
  const torch::Tensor rows =
      theta.size(0) == values.size(0) ? values : values.sum(0, /*keepdim=*/true);
  if (!factor_of_column_.defined()) return rows.sum(1, /*keepdim=*/true);
  return at::zeros(theta.sizes(), theta.options()).index_add_(1, factor_of_column_, rows);
}

torch::Tensor TunedMatrix::value() const {
  const torch::Tensor scale = over_columns(scale_theta_.value().exp());
  const torch::Tensor offset = offset_part();
  if (matrix_.level_grid) return matrix_.weight * scale * column_theta_.value().exp();
  if (!offset.defined()) return matrix_.weight * scale;
  return (matrix_.weight - offset)
      .mul_(scale)
      .addcmul_(offset, over_columns(offset_theta_.value().exp()));
}

void TunedMatrix::move(const torch::Tensor& gradient, const AdamStep& step) {
  const torch::Tensor offset = offset_part();
  if (matrix_.level_grid) {
    const torch::Tensor moved = gradient * value();  // by theta, of every value
    scale_theta_.move(moved.sum(1, /*keepdim=*/true), step);
    column_theta_.move(moved.sum(0, /*keepdim=*/true), step);
    return;
  }
  const torch::Tensor scaled = offset.defined() ? matrix_.weight - offset : matrix_.weight;
  scale_theta_.move(over_factors(gradient * scaled).mul_(scale_theta_.value().exp()), step);
  if (!offset.defined()) return;
  offset_theta_.move(over_factors(gradient * offset).mul_(offset_theta_.value().exp()), step);
}

void TunedMatrix::scale(double factor) {
  scale_theta_.scale(factor);
  offset_theta_.scale(factor);
  column_theta_.scale(factor);
}

obs::CompressedMatrix TunedMatrix::settled() const {
  if (matrix_.blocks) return settled_blocks();
  if (matrix_.level_grid) return settled_levels();
  if (matrix_.codes.defined()) return settled_grid();
  obs::CompressedMatrix matrix = matrix_;
  matrix.weight = value();
  return matrix;
}

obs::CompressedMatrix TunedMatrix::settled_grid() const {
  obs::CompressedMatrix matrix = matrix_;
  matrix.scale = matrix_.scale * scale_theta_.value().exp();
  if (matrix.scale_exponent) quant::round_to_stored(matrix.scale, *matrix.scale_exponent);
  matrix.weight = quant::dequantize(matrix.codes, grid_of(matrix)).masked_fill_(matrix.pruned, 0.0);
  return matrix;
}

obs::CompressedMatrix TunedMatrix::settled_levels() const {
  obs::CompressedMatrix matrix = matrix_;
  quant::LevelGrid& grid = matrix.level_grid.value();
  grid.row_step = grid.row_step * scale_theta_.value().squeeze(1).exp();
  grid.column_step = grid.column_step * column_theta_.value().squeeze(0).exp();
  quant::round_to_stored(grid.row_step, grid.row_exponent);
  quant::round_to_stored(grid.column_step, grid.column_exponent);
  matrix.weight = quant::values_of(matrix.levels, grid);
  return matrix;
}

obs::CompressedMatrix TunedMatrix::settled_blocks() const {
  obs::CompressedMatrix matrix = matrix_;
  quant::Grid grid = grid_of(matrix_);
  quant::BlockFactors& factors = grid.blocks.value();
  factors.super_scale = stored_factors(factors.super_scale, scale_theta_.value());
  grid.scale = grid.scale.clone();
  if (grid.offset.defined()) {
    factors.super_minimum = stored_factors(factors.super_minimum, offset_theta_.value());
    grid.offset = grid.offset.clone();
  }
  quant::update_block_groups(grid, 0, grid.scale.size(1));
  matrix.scale = grid.scale;
  matrix.offset = grid.offset;
  matrix.blocks = grid.blocks;
  matrix.weight = quant::dequantize(matrix.codes, grid);
  return matrix;
}

}  // namespace sgpt_mi::tuning
