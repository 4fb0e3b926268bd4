#include "sgpt_mi/planning/rd_measure.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/searchsorted.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plan_widths.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/obs/curves.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/walk/shared_linears.h"
#include "sgpt_mi/walk/stage_clock.h"
#include "sgpt_mi/widths/site_groups.h"

namespace sgpt_mi::planning {
namespace {

using FisherMap = std::map<std::string, torch::Tensor>;

/// Sparsities of a curve, and which of them the target's is.
struct SparsityLevels {
  std::vector<double> values;
  std::size_t target = 0;
};

SparsityLevels sparsity_levels(const PlanGoal& goal) {
  const double target = goal.matrix.sparsity;
  if (goal.matrix.prune_m > 0) return {{0.5}, 0};  // one level: the pattern's
  const PlanOptions& plan = goal.plan;
  std::set<double> levels;
  if (target > 0.0) levels.insert(target);
  if (target > 0.0 && plan.sparsity_range > 0.0) {
    for (const double share : {-1.0, 1.0}) {
      levels.insert(std::clamp(target + share * plan.sparsity_range, 0.02, 0.98));
    }
  }
  if (!plan.measurements.empty() && !goal.types) levels.insert({0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8});
  SparsityLevels result{{levels.begin(), levels.end()}, 0};
  const double kept = target > 0.0 ? target : 0.5;
  const auto found = std::lower_bound(result.values.begin(), result.values.end(), kept - 1e-9);
  result.target = static_cast<std::size_t>(found - result.values.begin());
  return result;
}

/// Widths of a curve: those that a plan may choose, or all levels for a file.
std::vector<int> measured_widths(const PlanGoal& goal) {
  const bool for_file = !goal.plan.measurements.empty();
  if (for_file) return goal.plan.widths.levels;
  return goal.matrix.quantizes() ? plannable_widths(goal.plan) : std::vector<int>{};
}

/// Columns that may share a grid besides a whole unit's, where the target counts what is stored.
std::vector<std::int64_t> measured_grids(const PlanGoal& goal, std::int64_t columns) {
  const widths::WidthTarget& target = goal.plan.widths.target;
  std::vector<std::int64_t> grids;
  if (!target.stored_bits && !target.bytes) return grids;
  const auto& held = goal.grids.group_sizes;
  for (const std::int64_t grid : {128, 64, 32}) {
    const bool known = held.empty() || std::find(held.begin(), held.end(), grid) != held.end();
    const bool fits = goal.grids.any_order || columns % grid == 0;
    if (grid < columns && known && fits) grids.push_back(grid);
  }
  return grids;
}

class Measurer {
 public:
  Measurer(const MeasureRun& run, FisherMap fisher)
      : run_(run),
        goal_(run.goal),
        fisher_(std::move(fisher)),
        matrix_(run.goal.matrix),
        sparsities_(sparsity_levels(run.goal)),
        widths_(measured_widths(run.goal)) {
    if (goal_.levels) matrix_.rows.world = run.world;
  }

  /// The linears that read some sites of a block: levels of all, by all ranks together; else of
  /// this rank's share of them.
  void measure(model::Block& block, std::span<walk::SiteInput> inputs);
  /// What all ranks have measured.
  [[nodiscard]] Measurements take();

 private:
  void measure_site(model::Block& block, const std::vector<model::LinearInfo>& linears,
                    const walk::SiteInput& input);
  void measure_linear(const torch::Tensor& weight, const model::LinearInfo& linear,
                      const walk::SiteInput& input, const widths::SiteGroups& groups,
                      const obs::PreparedInput& prepared);
  void measure_types(LinearCurves& curves, const obs::PruneCurve& pruned,
                     const obs::CurveInput& with, double unit) const;
  void measure_levels(LinearCurves& curves, const obs::PruneCurve& pruned,
                      const obs::CurveInput& with, double unit) const;
  void measure_coding(LinearCurves& curves, const obs::PruneCurve& pruned,
                      const walk::SiteInput& input, const obs::CurveInput& with, double unit) const;
  [[nodiscard]] std::pair<torch::Tensor, double> row_weight(const torch::Tensor& weight,
                                                            const model::LinearInfo& linear,
                                                            const walk::SiteInput& input) const;

  const MeasureRun& run_;
  const PlanGoal& goal_;
  FisherMap fisher_;
  obs::CompressOptions matrix_;  // the goal's, for the ranks that measure a linear together
  SparsityLevels sparsities_;
  std::vector<int> widths_;
  std::vector<std::string> order_;  // of all linears
  Measurements result_;             // of those that this rank has measured
};

void Measurer::measure(model::Block& block, std::span<walk::SiteInput> inputs) {
  std::vector<model::LinearInfo> linears;
  for (const walk::SiteInput& input : inputs) {
    for (const model::LinearInfo& linear : block.linears()) {
      if (linear.site != input.site) continue;
      if (run_.selection.contains(input.layer, linear.name)) linears.push_back(linear);
    }
  }
  const std::vector<int> rank_of = walk::share_linears(linears, run_.world.size());
  for (std::size_t i = 0; i < linears.size(); ++i) {
    order_.push_back(linears[i].name);
    if (!goal_.levels && rank_of[i] != run_.world.rank()) linears[i].rows = 0;
  }
  std::erase_if(linears, [](const model::LinearInfo& linear) { return linear.rows == 0; });
  for (const walk::SiteInput& input : inputs) measure_site(block, linears, input);
}

Measurements Measurer::take() {
  if (run_.world.alone() || goal_.levels) return std::move(result_);
  const nlohmann::json mine = to_json(result_);
  std::map<std::string, LinearCurves> all;
  for (int rank = 0; rank < run_.world.size(); ++rank) {
    const Measurements part =
        measurements_of(ranks::broadcast(run_.world, mine, rank), run_.world.name_of(rank));
    for (const LinearCurves& curves : part.linears) all.emplace(curves.name, curves);
  }
  result_.linears.clear();
  for (const std::string& name : order_) result_.linears.push_back(std::move(all.at(name)));
  return std::move(result_);
}

/// Of `linears` those that read the site.
void Measurer::measure_site(model::Block& block, const std::vector<model::LinearInfo>& linears,
                            const walk::SiteInput& input) {
  std::optional<obs::PreparedInput> prepared;
  widths::SiteGroups groups;
  for (const model::LinearInfo& linear : linears) {
    if (linear.site != input.site) continue;
    check_interrupt();
    if (!prepared) {
      if (goal_.plan.widths.grouping.groups != 1) {
        groups = widths::group_site(input, goal_.plan.widths.grouping, false, run_.timings);
      }
      const walk::StageTimer timer(run_.timings, "factor", linear.name);
      prepared = obs::prepare_input(input.stats.hessian(), matrix_, linear.name);
    }
    const walk::StageTimer timer(run_.timings, "curves", linear.name);
    measure_linear(block.weight(linear.short_name), linear, input, groups, *prepared);
  }
}

/// f and damage_unit().
std::pair<torch::Tensor, double> Measurer::row_weight(const torch::Tensor& weight,
                                                      const model::LinearInfo& linear,
                                                      const walk::SiteInput& input) const {
  const auto options = torch::TensorOptions().dtype(torch::kFloat64).device(weight.device());
  const Sensitivity sensitivity = goal_.plan.sensitivity;
  const double energy =
      sensitivity == Sensitivity::kEnergy ? obs::output_energy(weight, input.stats.hessian()) : 0.0;
  const double unit = damage_unit(sensitivity, input.stats.tokens, input.stats.sequences, energy);
  if (sensitivity != Sensitivity::kFisher) return {at::ones({linear.rows}, options), unit};
  return {fisher_.at(linear.name).to(options), unit};
}

void Measurer::measure_linear(const torch::Tensor& weight, const model::LinearInfo& linear,
                              const walk::SiteInput& input, const widths::SiteGroups& groups,
                              const obs::PreparedInput& prepared) {
  LinearCurves curves;
  curves.name = linear.name;
  curves.layer = input.layer;
  curves.attention =
      linear.site == model::Site::kAttentionIn || linear.site == model::Site::kAttentionOut;
  curves.rows = linear.rows;
  curves.columns = linear.columns;
  curves.unit_of_column = groups.labels;
  curves.unit_of_column.resize(static_cast<std::size_t>(linear.columns), 0);
  curves.units = std::max<std::int64_t>(1, groups.groups);
  const auto [rows, unit] = row_weight(weight, linear, input);
  const torch::Tensor floored = obs::floored_row_weight(rows).to(torch::kCPU).contiguous();
  const double* first = floored.const_data_ptr<double>();
  curves.row_weight.assign(first, first + floored.numel());
  const obs::CurveInput with{prepared, matrix_, rows};
  const auto dense = [&] {
    return obs::PruneCurve{{},
                           weight.to(torch::kFloat32).contiguous(),
                           at::zeros(weight.sizes(), weight.options().dtype(torch::kBool))};
  };
  obs::PruneCurve pruned;
  if (sparsities_.values.empty()) {
    pruned = dense();
  } else {
    pruned = obs::measure_pruning(weight, with, sparsities_.values, sparsities_.target);
    for (const obs::PrunedLevel& level : pruned.levels) {
      curves.pruning.push_back({level.sparsity, unit * level.damage});
    }
  }
  if (goal_.types) {
    measure_types(curves, pruned, with, unit);
    result_.linears.push_back(std::move(curves));
    return;
  }
  if (goal_.levels) {
    measure_levels(curves, pruned, with, unit);
    if (!sparsities_.values.empty()) measure_levels(curves, dense(), with, unit);
    result_.linears.push_back(std::move(curves));
    return;
  }
  measure_coding(curves, pruned, input, with, unit);
  if (!goal_.plan.measurements.empty() && !sparsities_.values.empty()) {
    measure_coding(curves, dense(), input, with, unit);
  }
  result_.linears.push_back(std::move(curves));
}

void Measurer::measure_levels(LinearCurves& curves, const obs::PruneCurve& pruned,
                              const obs::CurveInput& with, double unit) const {
  check_interrupt();
  const torch::Tensor rows = obs::floored_row_weight(with.row_weight);
  LevelCurve curve{
      pruned.pruned.to(torch::kFloat64).mean().item<double>(),
      obs::measure_levels(pruned.weight, pruned.pruned, {with.input, with.options, rows})};
  for (obs::LevelPoint& point : curve.points) point.damage *= unit;
  curves.levels.push_back(std::move(curve));
}

/// Rows that stand for all in the measurement of block types: rows are sorted by their weight f and
/// cut into runs of equal length, and the middle one of each stands for the run's weight: damage
/// adds up over rows, and f carries most of its spread.
struct RowSample {
  torch::Tensor rows;    // indices (sample) int64
  torch::Tensor weight;  // (sample) float64
};

constexpr std::int64_t kSampledRows = 128;

RowSample sample_rows(const torch::Tensor& row_weight) {
  const std::int64_t rows = row_weight.size(0);
  const auto all = at::arange(rows, row_weight.options().dtype(torch::kInt64));
  if (rows <= kSampledRows) return {all, row_weight};
  const torch::Tensor order = row_weight.argsort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  const torch::Tensor run = (all * kSampledRows).floor_divide(rows);
  const auto starts = at::searchsorted(run, at::arange(kSampledRows + 1, run.options()));
  const torch::Tensor first = starts.narrow(0, 0, kSampledRows);
  const torch::Tensor middle = (first + starts.narrow(0, 1, kSampledRows)).floor_divide(2);
  const torch::Tensor weight = at::zeros({kSampledRows}, row_weight.options())
                                   .index_add_(0, run, row_weight.index_select(0, order));
  return {order.index_select(0, middle), weight};
}

/// Of the types that a plan may choose from: the fixed one alone needs no damage, which would not
/// change anything.
void Measurer::measure_types(LinearCurves& curves, const obs::PruneCurve& pruned,
                             const obs::CurveInput& with, double unit) const {
  if (const blocks::BlockType* fixed = goal_.types->fixed(curves.name, curves.columns)) {
    curves.types.push_back({std::string(fixed->name), 0.0});
    return;
  }
  const RowSample sample = sample_rows(with.row_weight);
  const torch::Tensor weight = pruned.weight.index_select(0, sample.rows);
  const torch::Tensor mask = pruned.pruned.index_select(0, sample.rows);
  for (const blocks::BlockType* type : goal_.types->menu(curves.columns)) {
    check_interrupt();
    obs::CompressOptions options = with.options;
    options.block_type = type;
    options.rows = {};
    const double damage = obs::measure_blocks(weight, mask, {with.input, options, sample.weight});
    curves.types.push_back({std::string(type->name), unit * damage});
  }
  sort_types(curves);
}

void Measurer::measure_coding(LinearCurves& curves, const obs::PruneCurve& pruned,
                              const walk::SiteInput& input, const obs::CurveInput& with,
                              double unit) const {
  if (widths_.empty()) return;
  const double sparsity = pruned.pruned.to(torch::kFloat64).mean().item<double>();
  const auto measure_grid = [&](const std::vector<std::int32_t>& labels, std::int64_t count,
                                std::int64_t grid_columns) {
    CodingCurve curve{sparsity, grid_columns, widths_, {}};
    for (const int width : widths_) {
      check_interrupt();
      const std::vector<int> bits(static_cast<std::size_t>(count), width);
      std::vector<double> damage = obs::measure_width(
          pruned.weight, pruned.pruned, with, {labels, bits, quant::GridSharing::kRowGroup});
      double sum = 0.0;
      for (double& value : damage) sum += value *= unit;
      curve.damage.push_back(curves.units == 1 ? std::vector<double>{sum} : std::move(damage));
    }
    curves.coding.push_back(std::move(curve));
  };
  if (const std::int64_t size = goal_.matrix.groupsize; size > 0) {
    measure_grid(widths::neighbour_labels(curves.columns, size), (curves.columns + size - 1) / size,
                 0);
  } else {
    measure_grid(curves.unit_of_column, curves.units, 0);
  }
  for (const std::int64_t grid : measured_grids(goal_, curves.columns)) {
    const std::vector<std::int32_t> labels =
        widths::grid_labels(input, curves.columns, grid, goal_.grids.any_order);
    measure_grid(labels, *std::max_element(labels.begin(), labels.end()) + 1, grid);
  }
}

}  // namespace

double damage_unit(Sensitivity sensitivity, std::int64_t tokens, std::int64_t sequences,
                   double energy) {
  const double per_token = static_cast<double>(sequences) / (2.0 * static_cast<double>(tokens));
  switch (sensitivity) {
    case Sensitivity::kFisher:
      return 0.5 * per_token;
    case Sensitivity::kEnergy:
      return energy > 0.0 ? 1.0 / energy : 0.0;
    case Sensitivity::kNone:
      return per_token;
  }
  fail(ErrorKind::kInternal, "pipeline: unknown sensitivity");
}

Measurements measure_model(const MeasureRun& run) {
  const PlanOptions& plan = run.goal.plan;
  const text::TokenWindows windows =
      text::first_windows(run.windows, split_windows(run.windows.windows, plan).measured);
  FisherMap fisher;
  if (plan.sensitivity == Sensitivity::kFisher) {
    fisher = output_fisher({run.model, run.placement, windows, windows.windows, run.selection, 1,
                            run.timings, run.ends, run.world});
  }
  walk::BlockWalk walk{run.model,
                       run.placement,
                       windows,
                       run.selection,
                       /*true_sequential=*/true,  // nothing is replaced: every activation once
                       run.batch_windows,
                       0,
                       run.timings,
                       /*dense_stream=*/false,
                       /*residual_drift=*/false,
                       run.activations,
                       /*keeps_norms=*/true,
                       /*keeps_weights=*/true};
  walk.world = run.world;
  Measurer measurer(run, std::move(fisher));
  walk::walk_blocks(walk, [&](model::Block& block, std::span<walk::SiteInput> inputs) {
    measurer.measure(block, inputs);
  });
  return measurer.take();
}

void require_match(const Measurements& measurements, const nlohmann::json& key,
                   const std::string& path) {
  for (const auto& [name, value] : key.items()) {
    if (measurements.key.contains(name) && measurements.key.at(name) == value) continue;
    fail(ErrorKind::kUsage,
         "measurements: {} was made with another {} ({}; now {}); give another file, or delete it "
         "to measure again",
         path, name, measurements.key.contains(name) ? measurements.key.at(name).dump() : "none",
         value.dump());
  }
}

namespace {

/// What a plan needs when every type is fixed: names and shapes.
Measurements unmeasured(const MeasureRun& run) {
  Measurements result;
  for (const model::LinearInfo& linear : walk::selected_linears(run.model, run.selection)) {
    LinearCurves& curves = result.linears.emplace_back();
    curves.name = linear.name;
    curves.rows = linear.rows;
    curves.columns = linear.columns;
    const blocks::BlockType* type = run.goal.types->fixed(linear.name, linear.columns);
    curves.types.push_back({std::string(type->name), 0.0});
  }
  return result;
}

}  // namespace

Measurements load_or_measure(const MeasureRun& run) {
  if (run.goal.types && run.goal.types->standard != nullptr) return unmeasured(run);
  const std::string& path = run.goal.plan.measurements;
  if (path.empty()) return measure_model(run);
  nlohmann::json file;  // null: there is none
  if (run.world.leads() && std::filesystem::exists(path)) {
    const Measurements known = read_measurements(path);
    require_match(known, run.key, path);
    file = to_json(known);
  }
  file = ranks::broadcast(run.world, std::move(file), 0);
  if (!file.is_null()) return measurements_of(file, path);
  Measurements measured = measure_model(run);
  measured.key = run.key;
  if (run.world.leads()) write_measurements(measured, path);
  return measured;
}

}  // namespace sgpt_mi::planning
