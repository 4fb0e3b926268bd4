#include "descent.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/obs/row_products.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::obs {
namespace {

/// The share of a scale that one step leaves at least: below it the codes no longer fit.
constexpr double kLeastScaleShare = 0.3;

/// The sum over columns, and over rows too where all rows share their scales.
torch::Tensor sum_for(const torch::Tensor& products, const torch::Tensor& scale,
                      std::int64_t product_rows) {
  const torch::Tensor sums = row_sums(products, product_rows);
  return scale.size(0) == 1 ? sums.sum(0, /*keepdim=*/true) : sums;
}

}  // namespace

Descent::Descent(torch::Tensor weight, torch::Tensor pruned, const Problem& problem,
                 std::int64_t blocksize)
    : weight_(std::move(weight)),
      pruned_(std::move(pruned)),
      problem_(problem),
      blocksize_(blocksize),
      error_(weight_ - problem_.target) {}

torch::Tensor& Descent::gradient() {
  if (error_.defined()) {
    gradient_ = multiply(error_, problem_.hessian, problem_.product_rows);
    error_.reset();
  }
  return gradient_;
}

void Descent::sweep_support(float threshold) {
  kernels::DescentBlock request;
  request.support = kernels::Support::kThreshold;
  request.threshold = threshold;
  sweep(request, nullptr, nullptr);
}

void Descent::sweep_pattern(kernels::NmPattern pattern) {
  kernels::DescentBlock request;
  request.support = kernels::Support::kPattern;
  request.pattern = pattern;
  sweep(request, nullptr, nullptr);
}

void Descent::sweep_codes(const quant::Grid& grid, const torch::Tensor& codes) {
  kernels::DescentBlock request;
  request.support = kernels::Support::kKept;
  sweep(request, &grid, &codes);
}

void Descent::sweep(kernels::DescentBlock request, const quant::Grid* grid,
                    const torch::Tensor* codes) {
  const std::int64_t columns = weight_.size(1);
  const std::int64_t pattern = std::max<std::int64_t>(1, request.pattern.m);
  const std::int64_t block = std::max(pattern, blocksize_ - blocksize_ % pattern);
  for (std::int64_t first = 0; first < columns; first += block) {
    check_interrupt();
    const std::int64_t width = std::min(block, columns - first);
    const torch::Tensor values = weight_.narrow(1, first, width);
    const torch::Tensor before = values.clone();
    const torch::Tensor rows = problem_.hessian.narrow(0, first, width);
    const torch::Tensor gradient =
        error_.defined()
            ? multiply(error_, problem_.hessian.narrow(1, first, width), problem_.product_rows)
            : gradient_.narrow(1, first, width);
    request.weight = quant::view_of<float>(values);
    request.gradient = quant::view_of<const float>(gradient);
    request.hessian = quant::view_of<const float>(rows.narrow(1, first, width));
    request.pruned = quant::view_of<bool>(pruned_.narrow(1, first, width));
    if (grid != nullptr) {
      request.grid = grid->view(first, weight_.size(0));
    }
    if (codes != nullptr && codes->defined()) {
      request.codes = quant::view_of<std::uint8_t>(codes->narrow(1, first, width));
    }
    kernels::descend_block(request, quant::backend_of(weight_));
    const torch::Tensor change = values - before;
    if (error_.defined()) {
      error_.narrow(1, first, width).add_(change);
    } else {
      add_product(gradient_, change, rows, problem_.product_rows);
    }
  }
}

void Descent::step_scales(quant::Grid& grid, const torch::Tensor& codes,
                          std::optional<int> scale_exponent) {
  const std::int64_t groups = grid.scale.size(1);
  if (grid.blocks) {
    const torch::Tensor levels = quant::levels(codes, grid);
    for (std::int64_t group = 0; group < groups; ++group) step_block_group(grid, group, levels);
    return;
  }
  const std::vector<torch::Tensor> members = quant::columns_of_groups(grid.group_of_column, groups);
  for (std::int64_t group = 0; group < groups; ++group) {
    step_group(grid, {group, members[static_cast<std::size_t>(group)]}, codes, scale_exponent);
  }
}

void Descent::step_group(quant::Grid& grid, const Group& group, const torch::Tensor& codes,
                         std::optional<int> scale_exponent) {
  const torch::Tensor steps = codes.index_select(1, group.columns)
                                  .to(torch::kFloat32)
                                  .sub_(grid.zero_point.narrow(1, group.index, 1));
  move_scales(grid.scale.narrow(1, group.index, 1), steps, group.columns, scale_exponent);
}

void Descent::step_rows(quant::LevelGrid& grid) {
  const torch::Tensor levels = quant::nearest_levels(weight_, grid);
  const torch::Tensor steps = levels * grid.column_step;
  const torch::Tensor columns = at::arange(weight_.size(1), levels.options().dtype(torch::kInt64));
  move_scales(grid.row_step.unsqueeze(1), steps, columns, grid.row_exponent);
  weight_.copy_(quant::values_of(levels, grid));  // with the roundings of a file's reader
}

/// Moves the scales (rows, 1) or (1, 1) of some columns, whose weights are scale * steps.
void Descent::move_scales(const torch::Tensor& scale, const torch::Tensor& steps,
                          const torch::Tensor& columns, std::optional<int> scale_exponent) {
  const std::int64_t together = problem_.product_rows;
  torch::Tensor response = multiply(steps, problem_.hessian.index_select(0, columns), together);
  const torch::Tensor slope = sum_for(steps * gradient().index_select(1, columns), scale, together);
  const torch::Tensor curvature =
      sum_for(steps * response.index_select(1, columns), scale, together);
  torch::Tensor moved = at::where(curvature.gt(0), scale - slope / curvature, scale);
  moved = at::maximum(moved, scale * kLeastScaleShare);
  if (scale_exponent) quant::round_to_stored(moved, *scale_exponent);
  torch::Tensor change = moved - scale;
  // The error is a parabola in the scale, so whether a clamped or rounded step still lowers it is
  // known before it is taken.
  const torch::Tensor gain = change * (2 * slope + change * curvature);
  change = at::where(gain.lt(0), change, at::zeros_like(change));
  moved = at::where(gain.lt(0), moved, scale);
  scale.copy_(moved);
  weight_.index_copy_(1, columns, steps * moved);
  gradient_.add_(response.mul_(change));
}

void Descent::step_block_group(quant::Grid& grid, std::int64_t group, const torch::Tensor& levels) {
  const blocks::BlockType& type = *grid.blocks->type;
  const std::int64_t first = group * type.group;
  const std::int64_t together = problem_.product_rows;
  const torch::Tensor steps = levels.narrow(1, first, type.group);
  const torch::Tensor rows = problem_.hessian.narrow(0, first, type.group);
  const torch::Tensor slope = gradient().narrow(1, first, type.group);
  torch::Tensor response = multiply(steps, rows, together);
  const torch::Tensor own = response.narrow(1, first, type.group);
  quant::ScaleStep step;
  step.slope = row_sums(steps * slope, together);
  step.curvature = row_sums(steps * own, together);
  torch::Tensor flat;  // what an offset does to the gradient, of every row
  if (grid.offset.defined()) {
    flat = rows.sum(0, /*keepdim=*/true);
    const torch::Tensor flat_own = flat.narrow(1, first, type.group);
    step.offset_slope = row_sums(slope, together);
    step.mixed = row_sums(steps * flat_own, together);
    step.offset_curvature = flat_own.sum();
  }
  const quant::ScaleChange change = quant::step_block_group(grid, group, step);
  torch::Tensor moved = steps * grid.scale.narrow(1, group, 1);
  if (grid.offset.defined()) moved.add_(grid.offset.narrow(1, group, 1));
  weight_.narrow(1, first, type.group).copy_(moved);
  gradient_.add_(response.mul_(change.scale));
  if (grid.offset.defined()) add_product(gradient_, change.offset, flat, together);
}

torch::Tensor Descent::scores() {
  const torch::Tensor diagonal = problem_.hessian.diagonal();
  return (weight_ - gradient() / diagonal).square_().mul_(diagonal);
}

torch::Tensor Descent::row_errors() {
  return row_sums_float64((weight_ - problem_.target) * gradient(), problem_.product_rows);
}

std::vector<torch::Tensor> scores_of(std::vector<Descent>& descents) {
  std::vector<torch::Tensor> scores;
  scores.reserve(descents.size());
  for (Descent& descent : descents) scores.push_back(descent.scores());
  return scores;
}

torch::Tensor refit(const torch::Tensor& weight, const torch::Tensor& pruned,
                    const Problem& problem, std::int64_t iterations) {
  torch::Tensor values = weight.clone();
  const torch::Tensor diagonal = problem.hessian.diagonal();
  const std::int64_t together = problem.product_rows;
  torch::Tensor residual =
      multiply(problem.target - values, problem.hessian, together).masked_fill_(pruned, 0.0);
  torch::Tensor scaled = residual / diagonal;
  torch::Tensor direction = scaled.clone();
  torch::Tensor norm = row_sums(residual * scaled, together);
  for (std::int64_t i = 0; i < iterations; ++i) {
    check_interrupt();
    const torch::Tensor product =
        multiply(direction, problem.hessian, together).masked_fill_(pruned, 0.0);
    const torch::Tensor curvature = row_sums(direction * product, together);
    // A row that has arrived has no direction left, and 0 / 0 must not move it.
    const torch::Tensor open = curvature.gt(0).logical_and_(norm.gt(0));
    const torch::Tensor length = at::where(open, norm / curvature, at::zeros_like(norm));
    values.addcmul_(direction, length);
    residual.addcmul_(product, length, -1);
    scaled = residual / diagonal;
    const torch::Tensor next = row_sums(residual * scaled, together);
    direction.mul_(at::where(open, next / norm, at::zeros_like(norm))).add_(scaled);
    norm = next;
  }
  return values;
}

}  // namespace sgpt_mi::obs
