#include "sgpt_mi/obs/curves.h"

#include <cmath>
#include <utility>

#include "column_order.h"
#include "descent.h"
#include "input.h"
#include "measures.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sweep.h"

namespace sgpt_mi::obs {
namespace {

/// Sweeps until the support of the first level has settled, and from one level to the next.
constexpr int kFirstSweeps = 2;
constexpr int kNextSweeps = 1;

Problem problem_of(const torch::Tensor& weight, const PreparedInput& input) {
  const torch::Tensor dead = input.hessian.diagonal().eq(0);
  return {weight.to(torch::kFloat32).masked_fill(dead, 0.0), input.damped()};
}

double weighted_sum(const torch::Tensor& row_values, const torch::Tensor& row_weight) {
  return row_values.mul(row_weight).sum().item<double>();
}

/// The support that the first level starts from: a SparseGPT sweep that prunes.
void prune_by_sweep(const Problem& problem, const CurveInput& curve, double sparsity,
                    PruneCurve& result) {
  CompressOptions options = curve.options;
  options.wbits = 16;
  options.groups.reset();
  if (options.prune_m == 0) options.sparsity = sparsity;
  const ColumnOrder order = order_of(curve.input);
  Sweep sweep(order.apply(problem.target, 1).clone(at::MemoryFormat::Contiguous), curve.input.upper,
              options);
  sweep.run();
  result.weight = order.undo(sweep.weight(), 1).contiguous();
  result.pruned = order.undo(sweep.pruned(), 1).contiguous();
}

PrunedLevel level_of(const Descent& descent, const torch::Tensor& pruned,
                     const torch::Tensor& row_weight) {
  const double zeros = pruned.sum().item<double>();
  return {zeros / static_cast<double>(pruned.numel()),
          weighted_sum(descent.row_errors(), row_weight)};
}

}  // namespace

PruneCurve measure_pruning(const torch::Tensor& weight, const CurveInput& curve,
                           const std::vector<double>& sparsities, std::size_t keep) {
  ensure(!sparsities.empty() && keep < sparsities.size(), "obs: no sparsity level to measure");
  const Problem problem = problem_of(weight, curve.input);
  PruneCurve result;
  prune_by_sweep(problem, curve, sparsities.front(), result);
  torch::Tensor values = result.weight;
  torch::Tensor pruned = result.pruned;
  Descent descent(values, pruned, problem, curve.options.blocksize);
  if (curve.options.prune_m > 0) {
    for (int i = 0; i < kFirstSweeps; ++i) {
      descent.sweep_pattern({curve.options.prune_n, curve.options.prune_m});
    }
    result.levels.push_back(level_of(descent, pruned, curve.row_weight));
    return result;
  }
  for (std::size_t i = 0; i < sparsities.size(); ++i) {
    const auto count =
        static_cast<std::int64_t>(std::floor(static_cast<double>(values.numel()) * sparsities[i]));
    for (int sweep = 0; sweep < (i == 0 ? kFirstSweeps : kNextSweeps); ++sweep) {
      const torch::Tensor scores = descent.scores();
      descent.sweep_support(kernels::kth_smallest(scores.data_ptr<float>(), scores.numel(),
                                                  count > 0 ? count - 1 : 0,
                                                  quant::backend_of(scores)));
    }
    result.levels.push_back(level_of(descent, pruned, curve.row_weight));
    if (i != keep) continue;
    result.weight = values.clone();
    result.pruned = pruned.clone();
  }
  return result;
}

std::vector<double> measure_width(const torch::Tensor& weight, const torch::Tensor& pruned,
                                  const CurveInput& curve, const quant::ColumnGroups& groups) {
  const ColumnOrder order = order_of(curve.input);
  quant::GridOptions options = grid_options(curve.options, scale_exponent(weight, curve.options));
  options.clip = quant::ClipSearch::kWide;
  const quant::GridEvidence evidence{pruned, curve.input.hessian.diagonal().contiguous()};
  quant::Grid grid = quant::find_grid(weight, groups, options, evidence);
  const torch::Tensor group_of_column = grid.group_of_column;
  grid.group_of_column = order.apply(group_of_column, 0).contiguous();
  CompressOptions sweeping = curve.options;
  sweeping.groups = groups;
  Sweep sweep(order.apply(weight, 1).clone(at::MemoryFormat::Contiguous), curve.input.upper,
              sweeping);
  sweep.use_mask(order.apply(pruned, 1).contiguous());
  sweep.use_grid(std::move(grid));
  sweep.weigh_rows(curve.row_weight.to(torch::kFloat32));
  sweep.run();
  const torch::Tensor labels =
      torch::tensor(groups.group_of_column, torch::kInt64).to(weight.device());
  const auto count = static_cast<std::int64_t>(groups.bits_of_group.size());
  const torch::Tensor damage = at::zeros({count}, sweep.column_loss().options())
                                   .index_add_(0, labels, order.undo(sweep.column_loss(), 0))
                                   .to(torch::kCPU);
  const double* data = damage.const_data_ptr<double>();
  return {data, data + count};
}

double output_energy(const torch::Tensor& weight, const torch::Tensor& hessian) {
  return quadratic_trace(weight.to(torch::kFloat32), hessian);
}

}  // namespace sgpt_mi::obs
