#include "refine.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "column_order.h"
#include "descent.h"
#include "input.h"
#include "measures.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sweep.h"

namespace sgpt_mi::obs {
namespace {

/// Adds the time between construction and destruction to one step of a result.
class StepClock {
 public:
  StepClock(CompressResult& result, const char* step) : result_(result), step_(step) {}
  ~StepClock() {
    result_.seconds[step_] +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  StepClock(const StepClock&) = delete;
  StepClock& operator=(const StepClock&) = delete;

 private:
  CompressResult& result_;
  const char* step_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// One matrix on its way through the steps; the natural column order throughout.
class Refinement {
 public:
  Refinement(const torch::Tensor& weight, const PreparedInput& input,
             const CompressOptions& options);

  void run();
  [[nodiscard]] CompressResult take(const std::string& name);

 private:
  void prune();
  void descend_support();
  [[nodiscard]] quant::Grid fit_grid() const;
  void quantize();
  void polish();
  void take_sweep(const Sweep& sweep);
  [[nodiscard]] Sweep new_sweep(const CompressOptions& options) const;

  const PreparedInput& input_;
  const CompressOptions& options_;
  ColumnOrder order_;
  torch::Tensor before_;  // (rows, N) float32, as given
  Problem problem_;
  std::optional<int> scale_exponent_;
  torch::Tensor weight_;  // Q
  torch::Tensor pruned_;
  torch::Tensor codes_;  // undefined until quantized
  quant::Grid grid_;
  CompressResult result_;
};

Refinement::Refinement(const torch::Tensor& weight, const PreparedInput& input,
                       const CompressOptions& options)
    : input_(input),
      options_(options),
      order_(order_of(input)),
      before_(weight.to(torch::kFloat32).contiguous()),
      scale_exponent_(scale_exponent(before_, options)) {
  problem_.target = before_.masked_fill(input.hessian.diagonal().eq(0), 0.0);
  problem_.hessian = input.damped();
  weight_ = problem_.target.clone();
  pruned_ = at::zeros(weight_.sizes(), weight_.options().dtype(torch::kBool));
}

void Refinement::run() {
  if (options_.prunes() && (options_.refine.prunes_first() || !options_.quantizes())) {
    prune();
    descend_support();
    const StepClock clock(result_, "refit");
    if (options_.refine.refit_iterations > 0) {
      weight_ = refit(weight_, pruned_, problem_, options_.refine.refit_iterations);
    }
  }
  if (!options_.quantizes()) return;
  quantize();
  polish();
}

Sweep Refinement::new_sweep(const CompressOptions& options) const {
  return {order_.apply(problem_.target, 1).clone(at::MemoryFormat::Contiguous), input_.upper,
          options};
}

void Refinement::take_sweep(const Sweep& sweep) {
  weight_ = order_.undo(sweep.weight(), 1).contiguous();
  pruned_ = order_.undo(sweep.pruned(), 1).contiguous();
  if (!sweep.grid().scale.defined()) return;
  codes_ = order_.undo(sweep.codes(), 1).contiguous();
  grid_ = sweep.grid();
  grid_.group_of_column = order_.undo(grid_.group_of_column, 0).contiguous();
}

/// The sweep that only prunes: the support to start from.
void Refinement::prune() {
  const StepClock clock(result_, "support");
  CompressOptions options = options_;
  options.wbits = 16;
  options.groups.reset();
  Sweep sweep = new_sweep(options);
  sweep.run();
  take_sweep(sweep);
}

void Refinement::descend_support() {
  const std::int64_t sweeps = options_.refine.l0_sweeps;
  if (sweeps == 0) return;
  const StepClock clock(result_, "support");
  Descent descent(weight_, pruned_, problem_, options_.blocksize);
  if (options_.prune_m > 0) {
    for (std::int64_t i = 0; i < sweeps; ++i) {
      descent.sweep_pattern({options_.prune_n, options_.prune_m});
    }
    return;
  }
  const auto count = static_cast<std::int64_t>(
      std::floor(static_cast<double>(weight_.numel()) * options_.sparsity));
  if (count == 0) return;
  for (std::int64_t i = 0; i < sweeps; ++i) {
    const torch::Tensor scores = descent.scores();
    descent.sweep_support(kernels::kth_smallest(scores.data_ptr<float>(), scores.numel(), count - 1,
                                                quant::backend_of(scores)));
  }
  pruned_ = prune_exactly(descent.scores(), count);
  weight_.masked_fill_(pruned_, 0.0);
}

quant::Grid Refinement::fit_grid() const {
  quant::GridOptions grid = grid_options(options_, scale_exponent_);
  quant::GridEvidence evidence;
  if (options_.refine.weighted_clip) {
    grid.clip = quant::ClipSearch::kWide;
    evidence.column_weight = problem_.hessian.diagonal().contiguous();
  }
  const bool kept_only = options_.refine.grid_after_mask && options_.prunes();
  if (kept_only) evidence.pruned = pruned_;
  const torch::Tensor& values = kept_only ? weight_ : before_;
  return options_.groups ? quant::find_grid(values, *options_.groups, grid, evidence)
                         : quant::find_grid(values, grid, evidence);
}

/// The OBS sweep with codes: with the mask as it is, or choosing one on the way.
void Refinement::quantize() {
  Sweep sweep = new_sweep(options_);
  if (fits_grids_in_sweep(options_)) {
    sweep.fit_grids(scale_exponent_);
  } else {
    const StepClock clock(result_, "grid");
    quant::Grid grid = fit_grid();
    grid.group_of_column = order_.apply(grid.group_of_column, 0).contiguous();
    sweep.use_grid(std::move(grid));
  }
  const StepClock clock(result_, "sweep");
  if (options_.prunes() && options_.refine.prunes_first()) {
    sweep.use_mask(order_.apply(pruned_, 1).contiguous());
  }
  sweep.run();
  take_sweep(sweep);
}

void Refinement::polish() {
  const StepClock clock(result_, "polish");
  const RefineOptions& refine = options_.refine;
  if (refine.polish_sweeps == 0 && !refine.scale_step) return;
  Descent descent(weight_, pruned_, problem_, options_.blocksize);
  if (refine.polish_sweeps == 0) descent.step_scales(grid_, codes_, scale_exponent_);
  for (std::int64_t i = 0; i < refine.polish_sweeps; ++i) {
    if (refine.scale_step) descent.step_scales(grid_, codes_, scale_exponent_);
    descent.sweep_codes(grid_, codes_);
  }
}

CompressResult Refinement::take(const std::string& name) {
  CompressedMatrix& matrix = result_.matrix;
  matrix.weight = std::move(weight_);
  matrix.pruned = std::move(pruned_);
  if (codes_.defined()) {
    matrix.codes = std::move(codes_);
    matrix.scale = grid_.scale;
    matrix.zero_point = grid_.zero_point;
    matrix.group_of_column = grid_.group_of_column;
    matrix.bits_of_group = grid_.bits_of_group;
    matrix.scale_exponent = scale_exponent_;
    // A kept weight whose code means 0 is stored cheaper as a pruned one.
    if (options_.prunes() && options_.prune_m == 0) matrix.pruned.logical_or_(matrix.weight.eq(0));
  }
  result_.damping = input_.damping;
  measure(result_, before_, input_.hessian, name);
  result_.loss = result_.output_error / 2.0;
  return std::move(result_);
}

}  // namespace

CompressResult compress_refined(const torch::Tensor& weight, const PreparedInput& input,
                                const CompressOptions& options, const std::string& name) {
  Refinement refinement(weight, input, options);
  refinement.run();
  return refinement.take(name);
}

torch::Tensor correct_drift(const torch::Tensor& weight, const PreparedInput& input,
                            const torch::Tensor& cross, const torch::Tensor& residual,
                            double alpha) {
  const torch::Tensor before = weight.to(torch::kFloat32);
  torch::Tensor moved = before.matmul(cross);
  if (residual.defined()) moved.add_(residual);
  const ColumnOrder order = order_of(input);
  // H'^-1 = U^T U.
  const torch::Tensor solved = order.apply(moved, 1).matmul(input.upper.t()).matmul(input.upper);
  return before + order.undo(solved, 1).mul_(alpha);
}

}  // namespace sgpt_mi::obs
