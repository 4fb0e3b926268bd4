#include "sgpt_mi/obs/curves.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "descent.h"
#include "input.h"
#include "level_steps.h"
#include "measures.h"
#include "selection.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/obs/column_order.h"
#include "sgpt_mi/obs/row_split.h"
#include "sgpt_mi/ranks/messages.h"
#include "sweep.h"

namespace sgpt_mi::obs {
namespace {

/// Sweeps until the support of the first level has settled, and from one level to the next.
constexpr int kFirstSweeps = 2;
constexpr int kNextSweeps = 1;

constexpr std::int64_t kSampledRows = 32;     // at least
constexpr std::int64_t kMostRowsForOne = 64;  // of very many
constexpr int kMeasuredSteps = 20;

/// Some rows of a matrix that is pruned, on one device.
struct PrunedRows {
  ColumnOrder order;
  Problem problem;
  torch::Tensor weight;  // Q
  torch::Tensor pruned;
};

PrunedRows start_rows(const torch::Tensor& weight, const PreparedInput& input,
                      std::int64_t product_rows) {
  const torch::Tensor dead = input.hessian.diagonal().eq(0);
  return {order_of(input), {weight.masked_fill(dead, 0.0), input.damped(), product_rows}, {}, {}};
}

/// One matrix on its way from level to level, all parts of its rows together.
class Pruning {
 public:
  Pruning(const torch::Tensor& weight, const CurveInput& curve);

  /// The support that the first level starts from: a SparseGPT sweep that prunes.
  void prune_by_sweep(double sparsity);
  void start_descent();
  void sweep_pattern();
  void sweep_support(double sparsity);
  [[nodiscard]] PrunedLevel level();
  [[nodiscard]] torch::Tensor weight() const {
    return split_.gather([&](std::size_t i) { return parts_[i].weight; }) / root_;
  }
  [[nodiscard]] torch::Tensor pruned() const {
    return split_.gather([&](std::size_t i) { return parts_[i].pruned; });
  }

 private:
  const CurveInput& curve_;
  double weights_;  // how many
  /// (rows, 1): rows times the roots of their weights have errors that count alike, for which one
  /// threshold does.
  torch::Tensor root_;
  RowSplit split_;
  std::vector<PrunedRows> parts_;
  std::vector<Descent> descents_;
};

Pruning::Pruning(const torch::Tensor& weight, const CurveInput& curve)
    : curve_(curve),
      weights_(static_cast<double>(weight.numel())),
      root_(floored_row_weight(curve.row_weight).sqrt().to(torch::kFloat32).unsqueeze(1)),
      split_(weight, curve.options) {
  const std::vector<torch::Tensor> rows = split_.scatter(weight.to(torch::kFloat32) * root_);
  split_.each([&](std::size_t i) {
    parts_.push_back(start_rows(rows[i], split_.input_of(i, curve_.input), split_.product_rows()));
  });
}

void Pruning::prune_by_sweep(double sparsity) {
  CompressOptions options = curve_.options;
  options.wbits = 16;
  options.groups.reset();
  options.block_type = nullptr;
  options.levels.reset();
  if (options.prune_m == 0) options.sparsity = sparsity;
  std::vector<Sweep> sweeps;
  split_.each([&](std::size_t i) {
    const PrunedRows& rows = parts_[i];
    sweeps.emplace_back(
        rows.order.apply(rows.problem.target, 1).clone(at::MemoryFormat::Contiguous),
        split_.input_of(i, curve_.input).upper, options);
  });
  Sweep::run(sweeps, split_.world());
  for (std::size_t i = 0; i < sweeps.size(); ++i) {
    parts_[i].weight = parts_[i].order.undo(sweeps[i].weight(), 1).contiguous();
    parts_[i].pruned = parts_[i].order.undo(sweeps[i].pruned(), 1).contiguous();
  }
}

void Pruning::start_descent() {
  split_.each([&](std::size_t i) {
    descents_.emplace_back(parts_[i].weight, parts_[i].pruned, parts_[i].problem,
                           curve_.options.blocksize);
  });
}

void Pruning::sweep_pattern() {
  split_.each([&](std::size_t i) {
    descents_[i].sweep_pattern({curve_.options.prune_n, curve_.options.prune_m});
  });
}

void Pruning::sweep_support(double sparsity) {
  const auto count = static_cast<std::int64_t>(std::floor(weights_ * sparsity));
  const float threshold =
      kth_smallest_of(scores_of(descents_), count > 0 ? count - 1 : 0, split_.world());
  split_.each([&](std::size_t i) { descents_[i].sweep_support(threshold); });
}

PrunedLevel Pruning::level() {
  const torch::Tensor errors =
      split_.gather([&](std::size_t i) { return descents_[i].row_errors(); });
  const torch::Tensor zeros = split_.gather([&](std::size_t i) { return parts_[i].pruned.sum(1); });
  const torch::Tensor scale = root_.squeeze(1).to(torch::kFloat64).square();
  return {zeros.sum().item<double>() / weights_,
          errors.div(scale).mul(curve_.row_weight).sum().item<double>()};
}

/// The sweep that codes some rows by grids fitted to what is kept of them.
Sweep coding_sweep(const torch::Tensor& weight, const torch::Tensor& pruned,
                   const PreparedInput& input, const CompressOptions& options,
                   std::optional<int> scale_exponent) {
  quant::GridOptions grid_choice = grid_options(options, scale_exponent);
  grid_choice.clip = quant::ClipSearch::kWide;
  const quant::GridEvidence evidence{pruned, input.hessian.diagonal().contiguous()};
  quant::Grid grid = quant::find_grid(weight, *options.groups, grid_choice, evidence);
  const ColumnOrder order = order_of(input);
  grid.group_of_column = order.apply(grid.group_of_column, 0).contiguous();
  Sweep sweep(order.apply(weight, 1).clone(at::MemoryFormat::Contiguous), input.upper, options);
  sweep.use_mask(order.apply(pruned, 1).contiguous());
  sweep.use_grid(std::move(grid));
  return sweep;
}

/// Rows that stand for all, in the natural column order.
struct SampledRows {
  torch::Tensor weight;      // (n, N) float32
  torch::Tensor pruned;      // (n, N) bool
  torch::Tensor row_weight;  // (n) float64
  double stands_for = 1.0;   // how many rows each
};

SampledRows sample_rows(const torch::Tensor& weight, const torch::Tensor& pruned,
                        const CurveInput& measure) {
  const std::int64_t all = weight.size(0);
  const std::int64_t count = std::min(all, std::max(kSampledRows, all / kMostRowsForOne));
  const torch::Tensor rows =
      (at::arange(count, measure.row_weight.options().dtype(torch::kInt64)) * all)
          .floor_divide(count);
  SampledRows sample;
  sample.weight = weight.index_select(0, rows).to(torch::kFloat32);
  sample.weight.masked_fill_(measure.input.hessian.diagonal().eq(0), 0.0);  // dead channels
  sample.pruned = pruned.defined() ? pruned.index_select(0, rows)
                                   : at::zeros(sample.weight.sizes(),
                                               sample.weight.options().dtype(torch::kBool));
  sample.row_weight = measure.row_weight.index_select(0, rows);
  sample.stands_for = static_cast<double>(all) / static_cast<double>(count);
  return sample;
}

/// The step of which the typical level is 2^6.
double finest_step(const torch::Tensor& weight, const quant::LevelGrid& unit) {
  const torch::Tensor wanted = (weight / (unit.row_step.unsqueeze(1) * unit.column_step)).square_();
  const double spread = std::sqrt(wanted.mean(torch::kFloat64).item<double>());
  return spread > 0.0 ? spread / 64.0 : 1.0;
}

LevelPoint measure_step(const SampledRows& sample, const CurveInput& measure, double step) {
  const ColumnOrder order = order_of(measure.input);
  CompressOptions options = measure.options;
  options.levels = LevelOptions{step};
  options.rows = {};
  quant::Grid grid;
  grid.levels = find_level_grid(sample.weight, sample.row_weight, measure.input, *options.levels);
  if (order.forward.defined()) grid.levels = grid.levels->with_columns(order.forward);
  std::vector<Sweep> sweeps;
  Sweep& sweep =
      sweeps.emplace_back(order.apply(sample.weight, 1).clone(at::MemoryFormat::Contiguous),
                          measure.input.upper, options);
  sweep.use_mask(order.apply(sample.pruned, 1).contiguous());
  sweep.use_grid(grid);
  Sweep::run(sweeps);
  const torch::Tensor levels = quant::nearest_levels(sweep.weight(), *grid.levels);
  return {step, quant::level_tables(levels).total_bits / static_cast<double>(levels.numel()),
          2.0 * sweep.row_loss().mul(sample.row_weight).sum().item<double>()};
}

}  // namespace

PruneCurve measure_pruning(const torch::Tensor& weight, const CurveInput& curve,
                           const std::vector<double>& sparsities, std::size_t keep) {
  ensure(!sparsities.empty() && keep < sparsities.size(), "obs: no sparsity level to measure");
  Pruning pruning(weight, curve);
  pruning.prune_by_sweep(sparsities.front());
  pruning.start_descent();
  PruneCurve result;
  if (curve.options.prune_m > 0) {
    for (int i = 0; i < kFirstSweeps; ++i) pruning.sweep_pattern();
    result.levels.push_back(pruning.level());
    result.weight = pruning.weight();
    result.pruned = pruning.pruned();
    return result;
  }
  for (std::size_t i = 0; i < sparsities.size(); ++i) {
    for (int sweep = 0; sweep < (i == 0 ? kFirstSweeps : kNextSweeps); ++sweep) {
      pruning.sweep_support(sparsities[i]);
    }
    result.levels.push_back(pruning.level());
    if (i != keep) continue;
    result.weight = pruning.weight();
    result.pruned = pruning.pruned().clone();
  }
  return result;
}

std::vector<double> measure_width(const torch::Tensor& weight, const torch::Tensor& pruned,
                                  const CurveInput& curve, const quant::ColumnGroups& groups) {
  CompressOptions options = curve.options;
  options.groups = groups;
  options.groupsize = -1;
  const std::optional<int> exponent = scale_exponent(weight, curve.options);
  const RowSplit split(weight, options);
  const std::vector<torch::Tensor> values = split.scatter(weight);
  const std::vector<torch::Tensor> masks = split.scatter(pruned);
  const std::vector<torch::Tensor> factors = split.scatter(curve.row_weight.to(torch::kFloat32));
  std::vector<Sweep> sweeps;
  split.each([&](std::size_t i) {
    const PreparedInput& input = split.input_of(i, curve.input);
    sweeps.push_back(coding_sweep(values[i], masks[i], input, options, exponent));
    sweeps.back().weigh_rows(factors[i]);
  });
  Sweep::run(sweeps);
  // Sums in one order, which an atomic sum on a GPU has not.
  const torch::Tensor by_product =
      split.gather([&](std::size_t i) { return sweeps[i].column_loss(); });
  const torch::Tensor by_column = order_of(curve.input).undo(by_product.sum(0), 0).to(torch::kCPU);
  const auto count = static_cast<std::int64_t>(groups.bits_of_group.size());
  const torch::Tensor damage =
      at::zeros({count}, torch::kFloat64)
          .index_add_(0, torch::tensor(groups.group_of_column, torch::kInt64), by_column);
  const double* data = damage.const_data_ptr<double>();
  return {data, data + count};
}

double measure_blocks(const torch::Tensor& weight, const torch::Tensor& pruned,
                      const CurveInput& curve) {
  const RowSplit split(weight, curve.options);
  const std::vector<torch::Tensor> values = split.scatter(weight);
  const std::vector<torch::Tensor> masks = split.scatter(pruned);
  std::vector<Sweep> sweeps;
  split.each([&](std::size_t i) {
    Sweep& sweep = sweeps.emplace_back(values[i].clone(at::MemoryFormat::Contiguous),
                                       split.input_of(i, curve.input).upper, curve.options);
    sweep.use_mask(masks[i]);
    sweep.fit_grids(std::nullopt);
  });
  Sweep::run(sweeps);
  const torch::Tensor losses = split.gather([&](std::size_t i) { return sweeps[i].row_loss(); });
  return 2.0 * losses.mul(curve.row_weight).sum().item<double>();
}

std::vector<LevelPoint> measure_levels(const torch::Tensor& weight, const torch::Tensor& pruned,
                                       const CurveInput& measure) {
  const SampledRows sample = sample_rows(weight, pruned, measure);
  const double finest =
      finest_step(sample.weight, level_steps(measure.input, sample.row_weight, {1.0}));
  const ranks::World& world = measure.options.rows.world;
  const torch::Tensor mine = at::zeros({kMeasuredSteps, 2}, torch::kFloat64);  // bits, damage
  auto measured = mine.accessor<double, 2>();
  for (int i = world.rank(); i < kMeasuredSteps; i += world.size()) {
    check_interrupt();
    const LevelPoint point = measure_step(sample, measure, finest * std::exp2(0.5 * i));
    measured[i][0] = point.bits;
    measured[i][1] = point.damage * sample.stands_for;
  }
  const torch::Tensor all =
      ranks::gather_rows(world, mine.unsqueeze(0), torch::kCPU).sum(0).contiguous();
  const auto found = all.accessor<double, 2>();
  std::vector<LevelPoint> points;
  points.reserve(kMeasuredSteps);
  for (int i = 0; i < kMeasuredSteps; ++i) {
    points.push_back({finest * std::exp2(0.5 * i), found[i][0], found[i][1]});
  }
  return points;
}

double output_energy(const torch::Tensor& weight, const torch::Tensor& hessian) {
  return quadratic_trace(weight.to(torch::kFloat32), hessian);
}

}  // namespace sgpt_mi::obs
