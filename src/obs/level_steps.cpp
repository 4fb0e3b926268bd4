#include "level_steps.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cmath>

#include "column_order.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/curves.h"

namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kSampledRows = 128;    // at least
constexpr std::int64_t kMostRowsForOne = 16;  // of very many
constexpr int kMeasuredSteps = 20;
constexpr double kLeastRowShare = 0.01;    // of the mean of f
constexpr double kLeastColumnShare = 0.1;  // of the median of U_jj

/// U_jj (N) float64 in the natural column order.
torch::Tensor diagonal_of(const PreparedInput& input) {
  return order_of(input).undo(input.upper.diagonal().to(torch::kFloat64), 0);
}

torch::Tensor floored_columns(const torch::Tensor& diagonal) {
  return diagonal.clamp_min(kLeastColumnShare * diagonal.median().item<double>());
}

/// The step of which the typical level is 2^6.
double finest_step(const torch::Tensor& weight, const quant::LevelGrid& unit) {
  const torch::Tensor wanted = (weight / (unit.row_step.unsqueeze(1) * unit.column_step)).square_();
  const double spread = std::sqrt(wanted.mean(torch::kFloat64).item<double>());
  return spread > 0.0 ? spread / 64.0 : 1.0;
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

quant::LevelGrid level_steps(const PreparedInput& input, const LevelOptions& options) {
  ensure(options.step > 0.0, "obs: the step of levels is not above 0");
  const torch::Tensor rows = options.row_weight.rsqrt();
  const torch::Tensor diagonal = diagonal_of(input);
  quant::LevelGrid grid = quant::make_level_grid(rows, floored_columns(diagonal) * options.step,
                                                 options.row_exponent);
  const torch::Tensor of_row = grid.row_step.to(torch::kFloat64) / (rows * options.step);
  grid.row_cost = float32_of(of_row.square());
  grid.column_cost = float32_of((grid.column_step / diagonal).square());
  return grid;
}

quant::LevelGrid find_level_grid(const torch::Tensor& weight, const PreparedInput& input,
                                 const LevelOptions& options) {
  quant::LevelGrid grid = level_steps(input, options);
  quant::set_prices(grid, quant::level_tables(quant::nearest_levels(weight, grid)));
  return grid;
}

void use_descent_costs(quant::LevelGrid& grid, const torch::Tensor& diagonal,
                       const LevelOptions& options) {
  const torch::Tensor rows = options.row_weight.rsqrt();
  const torch::Tensor of_row = grid.row_step.to(torch::kFloat64) / (rows * options.step);
  grid.row_cost = float32_of(of_row.square());
  grid.column_cost = float32_of(grid.column_step.square() * diagonal);
}

std::vector<LevelPoint> measure_levels(const torch::Tensor& weight, const PreparedInput& input,
                                       const torch::Tensor& row_weight) {
  const std::int64_t all = weight.size(0);
  const std::int64_t count = std::min(all, std::max(kSampledRows, all / kMostRowsForOne));
  const torch::Tensor rows =
      (at::arange(count, row_weight.options().dtype(torch::kInt64)) * all).floor_divide(count);
  const torch::Tensor values = weight.index_select(0, rows).to(torch::kFloat32);
  const double scale = static_cast<double>(all) / static_cast<double>(count);
  const double finest = finest_step(values, level_steps(input, {row_weight, 1.0}).of_rows(rows));
  std::vector<LevelPoint> points;
  for (int i = 0; i < kMeasuredSteps; ++i) {
    const double step = finest * std::exp2(0.5 * i);
    const quant::LevelGrid grid = level_steps(input, {row_weight, step}).of_rows(rows);
    const torch::Tensor levels = quant::nearest_levels(values, grid);
    const torch::Tensor wanted = values / (grid.row_step.unsqueeze(1) * grid.column_step);
    const torch::Tensor cost = (wanted - levels).square_().mul_(grid.column_cost);
    const double squares = cost.sum(1, false, torch::kFloat64).mul_(grid.row_cost).sum().item<double>();
    points.push_back({step,
                      quant::level_tables(levels).total_bits / static_cast<double>(values.numel()),
                      scale * step * step * squares});
  }
  return points;
}

}  // namespace sgpt_mi::obs
