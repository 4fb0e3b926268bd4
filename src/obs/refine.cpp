#include "refine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "descent.h"
#include "input.h"
#include "level_steps.h"
#include "measures.h"
#include "selection.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/column_order.h"
#include "sgpt_mi/obs/row_split.h"
#include "sgpt_mi/quant/grid.h"
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

/// Some rows of a matrix on their way through the steps, on one device; the natural column order
/// throughout.
struct RefinedRows {
  /// \param row_weight  of these rows; undefined: all alike.
  RefinedRows(torch::Tensor given, const PreparedInput& input, std::int64_t product_rows,
              torch::Tensor row_weight);

  [[nodiscard]] Sweep new_sweep(const CompressOptions& options) const;
  void take_sweep(const Sweep& sweep);

  ColumnOrder order;
  torch::Tensor upper;   // U
  torch::Tensor before;  // (rows, N) float32, as given
  torch::Tensor row_weight;
  Problem problem;
  torch::Tensor weight;  // Q
  torch::Tensor pruned;
  torch::Tensor codes;  // undefined until quantized
  quant::Grid grid;
};

RefinedRows::RefinedRows(torch::Tensor given, const PreparedInput& input, std::int64_t product_rows,
                         torch::Tensor weights)
    : order(order_of(input)),
      upper(input.upper),
      before(std::move(given)),
      row_weight(std::move(weights)) {
  problem.target = before.masked_fill(input.hessian.diagonal().eq(0), 0.0);
  problem.hessian = input.damped();
  problem.product_rows = product_rows;
  weight = problem.target.clone();
  pruned = at::zeros(weight.sizes(), weight.options().dtype(torch::kBool));
}

Sweep RefinedRows::new_sweep(const CompressOptions& options) const {
  Sweep sweep(order.apply(problem.target, 1).clone(at::MemoryFormat::Contiguous), upper, options);
  if (row_weight.defined()) sweep.weigh_masks(row_weight);
  return sweep;
}

void RefinedRows::take_sweep(const Sweep& sweep) {
  weight = order.undo(sweep.weight(), 1).contiguous();
  pruned = order.undo(sweep.pruned(), 1).contiguous();
  if (!sweep.grid().defined()) return;
  grid = sweep.grid();
  if (grid.levels) {
    if (order.back.defined()) grid.levels = grid.levels->with_columns(order.back);
    return;
  }
  codes = order.undo(sweep.codes(), 1).contiguous();
  grid.group_of_column = order.undo(grid.group_of_column, 0).contiguous();
}

/// One matrix on its way through the steps, all parts of its rows together.
class Refinement {
 public:
  Refinement(const torch::Tensor& weight, const PreparedInput& input,
             const CompressOptions& options);

  void run();
  [[nodiscard]] CompressResult take(const std::string& name);

 private:
  [[nodiscard]] bool prunes_first() const;
  void prune();
  void descend_support();
  void descend_to(std::int64_t zeros, std::vector<Descent>& descents);
  void refit_kept();
  [[nodiscard]] quant::Grid fit_grid(const RefinedRows& rows) const;
  [[nodiscard]] torch::Tensor row_weight() const;
  [[nodiscard]] std::vector<quant::LevelGrid> fit_levels() const;
  void quantize();
  void polish();
  void polish_levels();
  void take_levels(CompressedMatrix& matrix);
  [[nodiscard]] std::vector<Descent> descents() const;

  const PreparedInput& input_;
  const CompressOptions& options_;
  torch::Tensor before_;  // (rows, N) float32, as given
  std::optional<int> scale_exponent_;
  RowSplit split_;
  std::vector<RefinedRows> parts_;
  CompressResult result_;
};

Refinement::Refinement(const torch::Tensor& weight, const PreparedInput& input,
                       const CompressOptions& options)
    : input_(input),
      options_(options),
      before_(weight.to(torch::kFloat32).contiguous()),
      scale_exponent_(scale_exponent(before_, options)),
      split_(before_, options) {
  std::vector<torch::Tensor> rows = split_.scatter(before_);
  std::vector<torch::Tensor> weights(split_.size());
  if (options.row_weight.defined()) weights = split_.scatter(options.row_weight);
  parts_.reserve(split_.size());
  split_.each([&](std::size_t i) {
    parts_.emplace_back(std::move(rows[i]), split_.input_of(i, input_), split_.product_rows(),
                        std::move(weights[i]));
  });
}

/// Whether the mask is complete before any code is chosen.
bool Refinement::prunes_first() const {
  return options_.prunes() && (options_.refine.prunes_first() || !options_.quantizes());
}

void Refinement::run() {
  if (prunes_first()) {
    prune();
    descend_support();
    refit_kept();
  }
  if (!options_.quantizes()) return;
  quantize();
  polish();
}

std::vector<Descent> Refinement::descents() const {
  std::vector<Descent> descents;
  descents.reserve(parts_.size());
  split_.each([&](std::size_t i) {
    const RefinedRows& rows = parts_[i];
    descents.emplace_back(rows.weight, rows.pruned, rows.problem, options_.blocksize);
  });
  return descents;
}

/// The sweep that only prunes: the support to start from.
void Refinement::prune() {
  const StepClock clock(result_, "support");
  CompressOptions options = options_;
  options.wbits = 16;
  options.groups.reset();
  options.block_type = nullptr;
  options.levels.reset();
  std::vector<Sweep> sweeps;
  sweeps.reserve(parts_.size());
  split_.each([&](std::size_t i) { sweeps.push_back(parts_[i].new_sweep(options)); });
  Sweep::run(sweeps, split_.world());
  split_.each([&](std::size_t i) { parts_[i].take_sweep(sweeps[i]); });
}

void Refinement::descend_support() {
  const std::int64_t sweeps = options_.refine.l0_sweeps;
  if (sweeps == 0) return;
  const StepClock clock(result_, "support");
  if (options_.prune_m > 0) {
    std::vector<Descent> parts = descents();
    split_.each([&](std::size_t part) {
      for (std::int64_t i = 0; i < sweeps; ++i) {
        parts[part].sweep_pattern({options_.prune_n, options_.prune_m});
      }
    });
    return;
  }
  const auto count = static_cast<std::int64_t>(
      std::floor(static_cast<double>(before_.numel()) * options_.sparsity));
  if (count == 0) return;
  // One price for the kept weights of all rows, and errors that count differently: a row times the
  // root of its weight has errors that count alike.
  std::vector<torch::Tensor> targets;
  for (RefinedRows& rows : parts_) {
    targets.push_back(rows.problem.target);
    if (!rows.row_weight.defined()) continue;
    const torch::Tensor root = rows.row_weight.sqrt().to(torch::kFloat32).unsqueeze(1);
    rows.problem.target = rows.problem.target * root;
    rows.weight.mul_(root);
  }
  std::vector<Descent> parts = descents();
  descend_to(count, parts);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    RefinedRows& rows = parts_[i];
    rows.problem.target = targets[i];
    if (rows.row_weight.defined()) {
      rows.weight.div_(rows.row_weight.sqrt().to(torch::kFloat32).unsqueeze(1));
    }
  }
}

/// Sweeps of L0 descent that leave exactly so many zeros.
void Refinement::descend_to(std::int64_t zeros, std::vector<Descent>& descents) {
  for (std::int64_t i = 0; i < options_.refine.l0_sweeps; ++i) {
    const float threshold = kth_smallest_of(scores_of(descents), zeros - 1, split_.world());
    split_.each([&](std::size_t part) { descents[part].sweep_support(threshold); });
  }
  std::vector<torch::Tensor> masks = prune_exactly(scores_of(descents), zeros, split_.world());
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    parts_[i].pruned = std::move(masks[i]);
    parts_[i].weight.masked_fill_(parts_[i].pruned, 0.0);
  }
}

void Refinement::refit_kept() {
  const StepClock clock(result_, "refit");
  if (options_.refine.refit_iterations == 0) return;
  split_.each([&](std::size_t i) {
    RefinedRows& rows = parts_[i];
    rows.weight = refit(rows.weight, rows.pruned, rows.problem, options_.refine.refit_iterations);
  });
}

torch::Tensor Refinement::row_weight() const {
  if (options_.row_weight.defined()) return options_.row_weight;
  return at::ones({before_.size(0)}, before_.options().dtype(torch::kFloat64));
}

/// Of every part's rows, in the natural column order.
std::vector<quant::LevelGrid> Refinement::fit_levels() const {
  const torch::Tensor weight = split_.gather([&](std::size_t i) { return parts_[i].weight; });
  const quant::LevelGrid all = find_level_grid(weight, row_weight(), input_, *options_.levels);
  const std::vector<torch::Tensor> rows =
      split_.scatter(at::arange(weight.size(0), weight.options().dtype(torch::kInt64)));
  std::vector<quant::LevelGrid> grids;
  grids.reserve(rows.size());
  for (const torch::Tensor& part : rows) grids.push_back(all.of_rows(part));
  return grids;
}

quant::Grid Refinement::fit_grid(const RefinedRows& rows) const {
  quant::GridOptions grid = grid_options(options_, scale_exponent_);
  quant::GridEvidence evidence;
  if (options_.refine.weighted_clip) {
    grid.clip = quant::ClipSearch::kWide;
    evidence.column_weight = rows.problem.hessian.diagonal().contiguous();
  }
  const bool kept_only = options_.refine.grid_after_mask && options_.prunes();
  if (kept_only) evidence.pruned = rows.pruned;
  const torch::Tensor& values = kept_only ? rows.weight : rows.before;
  return options_.groups ? quant::find_grid(values, *options_.groups, grid, evidence)
                         : quant::find_grid(values, grid, evidence);
}

/// The OBS sweep with codes: with the mask as it is, or choosing one on the way.
void Refinement::quantize() {
  std::vector<Sweep> sweeps;
  sweeps.reserve(parts_.size());
  std::vector<quant::LevelGrid> levels;
  if (options_.levels) levels = fit_levels();
  split_.each([&](std::size_t i) {
    const RefinedRows& rows = parts_[i];
    Sweep& sweep = sweeps.emplace_back(rows.new_sweep(options_));
    if (fits_grids_in_sweep(options_)) {
      sweep.fit_grids(scale_exponent_);
    } else if (options_.levels) {
      quant::Grid grid;
      grid.levels = rows.order.forward.defined() ? levels[i].with_columns(rows.order.forward)
                                                 : std::move(levels[i]);
      sweep.use_grid(std::move(grid));
    } else {
      const StepClock clock(result_, "grid");
      quant::Grid grid = fit_grid(rows);
      grid.group_of_column = rows.order.apply(grid.group_of_column, 0).contiguous();
      sweep.use_grid(std::move(grid));
    }
    if (options_.prunes() && options_.refine.prunes_first()) {
      sweep.use_mask(rows.order.apply(rows.pruned, 1).contiguous());
    }
  });
  const StepClock clock(result_, "sweep");
  Sweep::run(sweeps, split_.world());
  split_.each([&](std::size_t i) { parts_[i].take_sweep(sweeps[i]); });
}

/// As polish(), with prices from the levels as they are before each sweep.
void Refinement::polish_levels() {
  const RefineOptions& refine = options_.refine;
  if (refine.polish_sweeps == 0 && !refine.scale_step) return;
  std::vector<Descent> parts = descents();
  const auto step_rows = [&](std::size_t i) { parts[i].step_rows(*parts_[i].grid.levels); };
  if (refine.polish_sweeps == 0) split_.each(step_rows);
  const std::vector<torch::Tensor> weights = split_.scatter(row_weight());
  for (std::int64_t sweep = 0; sweep < refine.polish_sweeps; ++sweep) {
    quant::LevelTables tables = quant::level_tables(split_.gather([&](std::size_t i) {
      return quant::nearest_levels(parts_[i].weight, *parts_[i].grid.levels);
    }));
    const std::vector<torch::Tensor> row_tables = split_.scatter(tables.row_table);
    split_.each([&](std::size_t i) {
      RefinedRows& rows = parts_[i];
      quant::LevelGrid& grid = *rows.grid.levels;
      tables.row_table = row_tables[i];
      quant::set_prices(grid, tables);
      use_descent_costs(grid, rows.problem.hessian.diagonal(), weights[i], *options_.levels);
      parts[i].sweep_codes(rows.grid, {});
      if (refine.scale_step) step_rows(i);
    });
  }
}

void Refinement::take_levels(CompressedMatrix& matrix) {
  const auto grid_of = [&](std::size_t i) -> quant::LevelGrid& { return *parts_[i].grid.levels; };
  const auto levels_of = [&](std::size_t i) {
    return quant::nearest_levels(parts_[i].weight, grid_of(i));
  };
  quant::LevelGrid all = grid_of(0);
  for (torch::Tensor quant::LevelGrid::*member :
       {&quant::LevelGrid::row_step, &quant::LevelGrid::row_cost, &quant::LevelGrid::row_table}) {
    all.*member = split_.gather([&](std::size_t i) { return grid_of(i).*member; });
  }
  matrix.levels = split_.gather(levels_of);
  matrix.weight = quant::values_of(matrix.levels, all);
  matrix.level_grid = std::move(all);
}

void Refinement::polish() {
  const StepClock clock(result_, "polish");
  if (options_.levels) return polish_levels();
  const RefineOptions& refine = options_.refine;
  if (refine.polish_sweeps == 0 && !refine.scale_step) return;
  std::vector<Descent> parts = descents();
  const auto step_scales = [&](std::size_t i) {
    parts[i].step_scales(parts_[i].grid, parts_[i].codes, scale_exponent_);
  };
  if (refine.polish_sweeps == 0) split_.each(step_scales);
  for (std::int64_t sweep = 0; sweep < refine.polish_sweeps; ++sweep) {
    split_.each([&](std::size_t i) {
      if (refine.scale_step) step_scales(i);
      parts[i].sweep_codes(parts_[i].grid, parts_[i].codes);
    });
  }
}

CompressResult Refinement::take(const std::string& name) {
  CompressedMatrix& matrix = result_.matrix;
  if (!parts_.front().grid.levels) {
    matrix.weight = split_.gather([&](std::size_t i) { return parts_[i].weight; });
  }
  matrix.pruned = split_.gather([&](std::size_t i) { return parts_[i].pruned; });
  RefinedRows& first = parts_.front();
  if (first.grid.levels) {
    take_levels(matrix);
    if (options_.prunes() && options_.prune_m == 0) matrix.pruned.logical_or_(matrix.weight.eq(0));
  }
  if (first.codes.defined()) {
    matrix.codes = split_.gather([&](std::size_t i) { return parts_[i].codes; });
    matrix.scale = split_.gather([&](std::size_t i) { return parts_[i].grid.scale; });
    matrix.zero_point = split_.gather([&](std::size_t i) { return parts_[i].grid.zero_point; });
    take_blocks(matrix, split_,
                [&](std::size_t i) -> const quant::Grid& { return parts_[i].grid; });
    matrix.group_of_column = first.grid.group_of_column;
    matrix.bits_of_group = first.grid.bits_of_group;
    matrix.scale_exponent = scale_exponent_;
    // A kept weight whose code means 0 is stored cheaper as a pruned one.
    if (options_.prunes() && options_.prune_m == 0) matrix.pruned.logical_or_(matrix.weight.eq(0));
  }
  result_.damping = input_.damping;
  std::vector<RowChange> changes;
  for (const RefinedRows& rows : parts_) changes.push_back({rows.before, rows.weight});
  measure(result_, split_, changes, input_, name);
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

}  // namespace sgpt_mi::obs
