#include "level_steps.h"

#include <ATen/ops/ones_like.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/column_order.h"

namespace sgpt_mi::obs {
namespace {

constexpr double kLeastRowShare = 0.01;    // of the mean of f
constexpr double kLeastColumnShare = 0.1;  // of the median of U_jj

/// U_jj (N) float64 in the natural column order.
torch::Tensor diagonal_of(const PreparedInput& input) {
  return order_of(input).undo(input.upper.diagonal().to(torch::kFloat64), 0);
}

torch::Tensor floored_columns(const torch::Tensor& diagonal) {
  return diagonal.clamp_min(kLeastColumnShare * diagonal.median().item<double>());
}

torch::Tensor float32_of(const torch::Tensor& tensor) {
  return tensor.to(torch::kFloat32).contiguous();
}

}  // namespace

torch::Tensor floored_row_weight(const torch::Tensor& row_weight) {
  const double mean = row_weight.mean().item<double>();
  if (!(mean > 0.0)) return at::ones_like(row_weight);
  return row_weight.clamp_min(kLeastRowShare * mean);
}

quant::LevelGrid level_steps(const PreparedInput& input, const torch::Tensor& row_weight,
                             const LevelOptions& options) {
  ensure(options.step > 0.0, "obs: the step of levels is not above 0");
  const torch::Tensor rows = row_weight.rsqrt();
  const torch::Tensor diagonal = diagonal_of(input);
  quant::LevelGrid grid =
      quant::make_level_grid(rows, floored_columns(diagonal) * options.step, options.row_exponent);
  const torch::Tensor of_row = grid.row_step.to(torch::kFloat64) / (rows * options.step);
  grid.row_cost = float32_of(of_row.square());
  grid.column_cost = float32_of((grid.column_step / diagonal).square());
  return grid;
}

quant::LevelGrid find_level_grid(const torch::Tensor& weight, const torch::Tensor& row_weight,
                                 const PreparedInput& input, const LevelOptions& options) {
  quant::LevelGrid grid = level_steps(input, row_weight, options);
  quant::set_prices(grid, quant::level_tables(quant::nearest_levels(weight, grid)));
  return grid;
}

void use_descent_costs(quant::LevelGrid& grid, const torch::Tensor& diagonal,
                       const torch::Tensor& row_weight, const LevelOptions& options) {
  const torch::Tensor rows = row_weight.rsqrt();
  const torch::Tensor of_row = grid.row_step.to(torch::kFloat64) / (rows * options.step);
  grid.row_cost = float32_of(of_row.square());
  grid.column_cost = float32_of(grid.column_step.square() * diagonal);
}

}  // namespace sgpt_mi::obs
