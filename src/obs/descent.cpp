#include "descent.h"

#include <ATen/ops/where.h>

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::obs {
namespace {

/// The share of a scale that one step leaves at least: below it the codes no longer fit.
constexpr double kLeastScaleShare = 0.3;

/// The sum over columns, and over rows too where all rows share their scales.
torch::Tensor sum_for(const torch::Tensor& products, const torch::Tensor& scale) {
  const torch::Tensor sums = products.sum(1, /*keepdim=*/true);
  return scale.size(0) == 1 ? sums.sum(0, /*keepdim=*/true) : sums;
}

}  // namespace

Descent::Descent(torch::Tensor weight, torch::Tensor pruned, const Problem& problem,
                 std::int64_t blocksize)
    : weight_(std::move(weight)),
      pruned_(std::move(pruned)),
      problem_(problem),
      blocksize_(blocksize),
      gradient_((weight_ - problem_.target).matmul(problem_.hessian)) {}

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
    request.weight = quant::view_of<float>(values);
    request.gradient = quant::view_of<const float>(gradient_.narrow(1, first, width));
    request.hessian = quant::view_of<const float>(rows.narrow(1, first, width));
    request.pruned = quant::view_of<bool>(pruned_.narrow(1, first, width));
    if (grid != nullptr) {
      request.grid = grid->view(first, weight_.size(0));
      request.codes = quant::view_of<std::uint8_t>(codes->narrow(1, first, width));
    }
    kernels::descend_block(request, quant::backend_of(weight_));
    gradient_.addmm_(values - before, rows);
  }
}

void Descent::step_scales(quant::Grid& grid, const torch::Tensor& codes,
                          std::optional<int> scale_exponent) {
  for (std::int64_t group = 0; group < grid.scale.size(1); ++group) {
    step_group(grid, group, codes, scale_exponent);
  }
}

void Descent::step_group(quant::Grid& grid, std::int64_t group, const torch::Tensor& codes,
                         std::optional<int> scale_exponent) {
  const torch::Tensor members =
      grid.group_of_column.eq(static_cast<int>(group)).nonzero().squeeze(1);
  const torch::Tensor scale = grid.scale.narrow(1, group, 1);
  const torch::Tensor steps =
      codes.index_select(1, members).to(torch::kFloat32).sub_(grid.zero_point.narrow(1, group, 1));
  const torch::Tensor response = steps.matmul(problem_.hessian.index_select(0, members));
  const torch::Tensor slope = sum_for(steps * gradient_.index_select(1, members), scale);
  const torch::Tensor curvature = sum_for(steps * response.index_select(1, members), scale);
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
  weight_.index_copy_(1, members, steps * moved);
  gradient_.add_(response.mul_(change));
}

torch::Tensor Descent::scores() const {
  const torch::Tensor diagonal = problem_.hessian.diagonal();
  return (weight_ - gradient_ / diagonal).square_().mul_(diagonal);
}

torch::Tensor Descent::row_errors() const {
  return ((weight_ - problem_.target) * gradient_).sum(1, /*keepdim=*/false, torch::kFloat64);
}

torch::Tensor refit(const torch::Tensor& weight, const torch::Tensor& pruned,
                    const Problem& problem, std::int64_t iterations) {
  torch::Tensor values = weight.clone();
  const torch::Tensor diagonal = problem.hessian.diagonal();
  torch::Tensor residual =
      (problem.target - values).matmul(problem.hessian).masked_fill_(pruned, 0.0);
  torch::Tensor scaled = residual / diagonal;
  torch::Tensor direction = scaled.clone();
  torch::Tensor norm = (residual * scaled).sum(1, /*keepdim=*/true);
  for (std::int64_t i = 0; i < iterations; ++i) {
    check_interrupt();
    const torch::Tensor product = direction.matmul(problem.hessian).masked_fill_(pruned, 0.0);
    const torch::Tensor curvature = (direction * product).sum(1, /*keepdim=*/true);
    // A row that has arrived has no direction left, and 0 / 0 must not move it.
    const torch::Tensor open = curvature.gt(0).logical_and_(norm.gt(0));
    const torch::Tensor length = at::where(open, norm / curvature, at::zeros_like(norm));
    values.addcmul_(direction, length);
    residual.addcmul_(product, length, -1);
    scaled = residual / diagonal;
    const torch::Tensor next = (residual * scaled).sum(1, /*keepdim=*/true);
    direction.mul_(at::where(open, next / norm, at::zeros_like(norm))).add_(scaled);
    norm = next;
  }
  return values;
}

torch::Tensor prune_exactly(const torch::Tensor& score, std::int64_t count) {
  if (count == 0) return at::zeros(score.sizes(), score.options().dtype(torch::kBool));
  const torch::Tensor flat = score.contiguous().flatten();
  const float threshold = kernels::kth_smallest(flat.data_ptr<float>(), flat.numel(), count - 1,
                                                quant::backend_of(flat));
  torch::Tensor mask = flat.lt(threshold);
  const std::int64_t missing = count - mask.sum().item<std::int64_t>();
  const torch::Tensor ties = flat.eq(threshold).nonzero().squeeze(1);
  mask.index_fill_(0, ties.narrow(0, 0, missing), true);
  return mask.view(score.sizes());
}

}  // namespace sgpt_mi::obs
