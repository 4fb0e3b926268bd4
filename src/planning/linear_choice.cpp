#include "sgpt_mi/planning/linear_choice.h"

#include <cmath>

#include "sgpt_mi/packing/packed_size.h"

namespace sgpt_mi::planning {

std::int64_t zeros_of(const LinearCurves& linear, double sparsity) {
  return static_cast<std::int64_t>(
      std::floor(sparsity * static_cast<double>(linear.weights()) + 1e-6));
}

std::int64_t all_weights(const Measurements& measurements) {
  std::int64_t weights = 0;
  for (const LinearCurves& linear : measurements.linears) weights += linear.weights();
  return weights;
}

std::vector<std::int64_t> columns_of_units(const LinearCurves& linear) {
  std::vector<std::int64_t> columns(static_cast<std::size_t>(linear.units), 0);
  for (const std::int32_t unit : linear.unit_of_column) ++columns[static_cast<std::size_t>(unit)];
  return columns;
}

std::int64_t stored_bits_of(const LinearCurves& linear, const LinearChoice& choice,
                            const obs::CompressOptions& matrix, const formats::GridLimits& grids) {
  packing::PackedShape shape;
  shape.symmetric = matrix.symmetric;
  shape.rows = linear.rows;
  shape.columns = linear.columns;
  shape.prune_n = static_cast<int>(matrix.prune_n);
  shape.prune_m = static_cast<int>(matrix.prune_m);
  shape.prunes = choice.sparsity > 0.0 || matrix.prune_m > 0;
  shape.dtype = DType::kF16;
  const std::int64_t kept = linear.weights() - zeros_of(linear, choice.sparsity);
  if (choice.unit_bits.empty()) {
    shape.columns_of_width[0] = linear.columns;
    shape.survivors_of_width[0] = kept;
    return 8 * grids.matrix_size(shape).total();
  }
  shape.grid_rows = linear.rows;
  const std::vector<std::int64_t> columns = columns_of_units(linear);
  const std::int64_t grid_columns =
      choice.grid_columns > 0 ? choice.grid_columns : matrix.groupsize;
  const std::int64_t grids_of_linear =
      grid_columns > 0 ? (linear.columns + grid_columns - 1) / grid_columns : 1;
  for (std::size_t unit = 0; unit < choice.unit_bits.size(); ++unit) {
    const auto width = static_cast<std::size_t>(choice.unit_bits[unit]);
    shape.columns_of_width[width] += columns[unit];
    shape.groups_of_width[width] += grids_of_linear;
    shape.survivors_of_width[width] += kept * columns[unit] / linear.columns;
  }
  const bool neighbours = choice.grid_columns > 0 ? !grids.any_order : grid_columns > 0;
  shape.labels = shape.groups() > 1 && !neighbours;
  return 8 * grids.matrix_size(shape).total();
}

}  // namespace sgpt_mi::planning
