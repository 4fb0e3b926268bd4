#include "site_compressor.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "channel_scaling.h"
#include "coded_copy.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/walk/shared_linears.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {
namespace {

using model::Block;
using model::LinearInfo;

/// Tries to meet a stored size whose mask is known only afterwards.
constexpr int kStoredTries = 6;

std::vector<LinearInfo> linears_of(const Block& block, model::Site site) {
  std::vector<LinearInfo> linears;
  for (const LinearInfo& linear : block.linears()) {
    if (linear.site == site) linears.push_back(linear);
  }
  return linears;
}

/// Puts a tensor that channels were scaled in back into its block.
void restore_tensor(Block& block, const std::string& name, const torch::Tensor& value,
                    const model::Placement& where) {
  const LinearInfo& any = block.linears().front();
  const std::size_t prefix = any.name.size() - any.short_name.size();
  for (const LinearInfo& linear : block.linears()) {
    if (name == linear.name + ".weight")
      return block.set_weight(linear.short_name, value.to(where.device, where.dtype));
  }
  block.set_norm({name.substr(prefix), value});
}

torch::Tensor row_weight_of(const planning::LinearChoice& choice, torch::Device device) {
  return torch::tensor(choice.row_weight, torch::kFloat64).to(device);
}

}  // namespace

void SiteCompressor::warn_once(const std::string& text) {
  if (!text.empty() && warned_.insert(text).second) run_.events.warning(text);
}

/// Before the first site of a block that is compressed.
void SiteCompressor::begin_block(std::int64_t layer) {
  if (layer == layer_) return;
  layer_ = layer;
  const auto layers = static_cast<double>(run_.model.spec().layers);
  if (run_.before_block) run_.before_block((layers - static_cast<double>(layer)) / layers);
}

void SiteCompressor::handle(Block& block, std::span<walk::SiteInput> inputs) {
  std::vector<SiteTask> sites;
  sites.reserve(inputs.size());
  for (walk::SiteInput& input : inputs) {
    SiteTask site{input, {}};
    for (const LinearInfo& linear : linears_of(block, input.site)) {
      if (run_.settings.selection.contains(input.layer, linear.name))
        site.linears.push_back(linear);
    }
    if (site.linears.empty()) continue;
    if (auto known = journal_.take(input.layer, input.site)) {
      restore(block, site.linears, std::move(*known));
      continue;
    }
    begin_block(input.layer);
    sites.push_back(std::move(site));
    if (run_.settings.channel_scaling) scale_channels(block, sites.back());
  }
  std::vector<LinearTask> tasks;
  for (SiteTask& site : sites) {
    for (const LinearInfo& linear : site.linears) tasks.push_back({site, linear});
  }
  // How the last one's levels are to come out depends on all others.
  std::vector<LinearTask> last;
  if (levels_ != nullptr && tasks.size() > 1 && levels_->open() == tasks.size()) {
    last.push_back(tasks.back());
    tasks.pop_back();
  }
  compress_all(block, std::move(tasks));
  compress_all(block, std::move(last));
  const walk::StageTimer timer(run_.timings, "journal");
  for (SiteTask& site : sites) {
    journal_.keep(site.input.layer, site.input.site, site.record);
    site.record = {};
  }
}

/// Every rank compresses its share, linears or rows; all accept all, in their order.
void SiteCompressor::compress_all(Block& block, std::vector<LinearTask> tasks) {
  const ranks::World& world = run_.world;
  std::vector<LinearInfo> linears;
  linears.reserve(tasks.size());
  for (const LinearTask& task : tasks) linears.push_back(task.linear);
  const bool by_rows = walk::share_rows(linears, world.size(), run_.settings.shared_rows());
  for (LinearTask& task : tasks) {
    if (by_rows) task.world = world;
    if (levels_ != nullptr) task.step = levels_->step_for(task.linear.name);
  }
  const bool together = by_rows || world.alone();
  const std::vector<int> rank_of = walk::share_linears(linears, world.size());
  std::vector<SiteRecord> done(tasks.size());
  const auto compress = [&](std::size_t i) {
    if (together || rank_of[i] == world.rank()) done[i] = compress_linear(block, tasks[i]);
    const bool last_of_site = i + 1 == tasks.size() || &tasks[i + 1].site != &tasks[i].site;
    if (last_of_site) tasks[i].site.work.reset();
  };
  for (std::size_t i = 0; !together && i < tasks.size(); ++i) compress(i);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (together) compress(i);
    SiteRecord record = std::exchange(done[i], {});
    if (!together) {
      const walk::StageTimer timer(run_.timings, "exchange", tasks[i].linear.name);
      record = exchanged(world, record, rank_of[i]);
    }
    take(block, tasks[i], std::move(record));
  }
}

/// What all ranks do with a linear that one or all of them have compressed.
void SiteCompressor::take(Block& block, const LinearTask& task, SiteRecord&& record) {
  SiteRecord& kept = task.site.record;
  for (const std::string& warning : record.warnings) {
    warn_once(warning);
    kept.warnings.push_back(warning);
  }
  for (GroupPicture& picture : record.pictures) {
    results_.add_picture(picture);
    kept.pictures.push_back(std::move(picture));
  }
  if (run_.journal != nullptr) {
    kept.linears.push_back(record.linears.front());
    kept.linears.back().coded = nullptr;  // nobody reads it again
  }
  accept(block, task.linear, std::move(record.linears.front()));
  run_.events.layer(results_.last_layer());
  run_.events.progress(++done_);
}

/// Puts a compressed linear into the block, the budget and what is handed on.
void SiteCompressor::accept(Block& block, const LinearInfo& linear, RecordedLinear&& done) {
  ensure(done.name == linear.name, "compress: a record of another linear");
  if (levels_ != nullptr) levels_->settle(done.name, *done.layer.step, done.level_bits);
  block.set_weight(
      linear.short_name,
      results_.rounded(linear, done.matrix).to(run_.placement.device, run_.placement.dtype));
  results_.take({linear, std::move(done.matrix)}, std::move(done.layer), done.coded);
}

void SiteCompressor::restore(Block& block, const std::vector<LinearInfo>& linears,
                             SiteRecord&& record) {
  const walk::StageTimer timer(run_.timings, "journal");
  for (const auto& [name, value] : record.tensors) {
    restore_tensor(block, name, value, run_.placement);
    results_.take(name, value);
  }
  for (const GroupPicture& picture : record.pictures) results_.add_picture(picture);
  for (const std::string& warning : record.warnings) warn_once(warning);
  ensure(record.linears.size() == linears.size(), "compress: a journal of another selection");
  for (std::size_t i = 0; i < linears.size(); ++i) {
    accept(block, linears[i], std::move(record.linears[i]));
    run_.events.restored(results_.last_layer());
    run_.events.progress(++done_);
  }
}

SiteCompressor::SiteWork SiteCompressor::prepare(const SiteTask& site) {
  const walk::SiteInput& input = site.input;
  const std::string& name = site.linears.front().name;
  SiteWork work{input, {}, {}, {}, {}, {}};
  {
    const walk::StageTimer timer(run_.timings, "factor", name);
    const torch::Tensor hessian = input.stats.hessian();
    if (run_.settings.method == Method::kMagnitude) {
      work.prepared.hessian = hessian;
    } else {
      work.prepared = obs::prepare_input(hessian, run_.settings.matrix, name);
    }
  }
  work.figures = input_figures(input, work.prepared);
  if (run_.settings.drift > 0.0 && input.drift) work.drift = drift_of(site, work.prepared);
  if (planner_ == nullptr) return work;
  const bool keep_affinity = run_.keep_pictures && input.layer == 0;
  work.groups = planner_->groups_of(input, keep_affinity, run_.timings);
  work.moments = widths::channel_moments(input.stats, work.prepared.inverse_diagonal());
  return work;
}

/// For all linears of the site, whichever ranks compress them.
drift::SiteDrift SiteCompressor::drift_of(const SiteTask& site,
                                          const obs::PreparedInput& prepared) const {
  const walk::StageTimer timer(run_.timings, "drift");
  std::vector<drift::DriftMoments> halves;
  for (const calib::DriftStats& half : *site.input.drift) {
    if (half.sequences == 0) continue;
    halves.push_back({half.cross(), half.residual(), half.sequences});
  }
  std::int64_t rows = 0;
  for (const LinearInfo& linear : site.linears) rows += linear.rows;
  return drift::prepare_drift(std::move(halves), prepared, rows);
}

void SiteCompressor::scale_channels(Block& block, SiteTask& site) {
  const std::vector<LinearInfo> linears = linears_of(block, site.input.site);
  const auto keep = [&](const std::string& name, const torch::Tensor& rounded) {
    site.record.tensors.emplace_back(name, rounded);
    results_.take(name, rounded);
  };
  const auto norm = fold_channel_scaling(block, linears, *run_.settings.channel_scaling, site.input,
                                         run_.saved_types);
  if (norm.empty()) {
    warn_once("channel scaling is left out where no norm directly before the linear can take it");
    return;
  }
  for (const auto& [name, value] : norm) keep(name, value);
  for (const LinearInfo& linear : linears) {
    if (run_.settings.selection.contains(site.input.layer, linear.name)) continue;
    const std::string tensor = linear.name + ".weight";
    const torch::Tensor rounded = block.weight(linear.short_name)
                                      .to(model::to_scalar_type(run_.saved_types.dtype_of(tensor)));
    keep(tensor, rounded);
    block.set_weight(linear.short_name, rounded.to(run_.placement.dtype));
  }
}

obs::CompressResult SiteCompressor::compress_matrix(const torch::Tensor& weight,
                                                    const SiteWork& work,
                                                    const obs::CompressOptions& options,
                                                    const std::string& name) const {
  const walk::StageTimer timer(run_.timings, "obs", name);
  if (run_.settings.method == Method::kMagnitude) {
    return obs::compress_magnitude(weight, work.prepared.hessian, options, name);
  }
  return obs::compress_sparsegpt(weight, work.prepared, options, name);
}

CodedCopy SiteCompressor::coded_copy(const obs::CompressResult& result, DType dtype) const {
  const torch::Tensor rounded = result.matrix.weight.to(model::to_scalar_type(dtype));
  return {result.matrix, rounded, run_.settings.matrix, dtype, run_.settings.entropy};
}

/// Compresses with the planned widths. A stored size depends on the mask, which depends a little on
/// the widths: the plan is repeated with what the last mask kept, less what it was over, and the
/// largest result within the budget is taken.
obs::CompressResult SiteCompressor::compress_planned(const torch::Tensor& weight,
                                                     const SiteWork& work, widths::LinearPlan& plan,
                                                     const LinearInfo& linear) {
  const widths::WidthOptions& widths = planner_->options();
  const DType dtype = run_.saved_types.dtype_of(linear.name + ".weight");
  obs::CompressOptions options = run_.settings.matrix;
  std::optional<obs::CompressResult> best;
  std::vector<int> best_bits;
  std::int64_t best_size = 0;
  std::int64_t allowed = plan.budget_bits;
  for (int tried = 0; tried < kStoredTries; ++tried) {
    options.groups = widths::column_groups(plan.units, plan.bits, widths.sharing);
    obs::CompressResult result = compress_matrix(weight, work, options, linear.name);
    if (!planner_->counts_storage()) return result;
    const std::int64_t size =
        8 * coded_copy(result, dtype).size(linear.name, run_.settings.grids).total();
    const torch::Tensor pruned = result.matrix.pruned;
    if (size <= plan.budget_bits && size > best_size) {
      best = std::move(result);
      best_bits = plan.bits;
      best_size = size;
    }
    if (size > plan.budget_bits) allowed -= size - plan.budget_bits;
    std::vector<int> next = planner_->replan(plan, pruned, allowed);
    if (next == plan.bits) break;
    plan.bits = std::move(next);
  }
  if (!best) {
    fail(ErrorKind::kNumeric,
         "pipeline: {} cannot be stored in {} bits in {} tries; ask for a larger size", linear.name,
         plan.budget_bits, kStoredTries);
  }
  plan.bits = std::move(best_bits);
  return std::move(*best);
}

/// Compresses to levels of the step that the budget gives; the last linear of the model until all
/// fit into it.
void SiteCompressor::compress_levels(const torch::Tensor& weight, const LinearTask& task,
                                     LinearWork& done) {
  const std::string& name = task.linear.name;
  const DType dtype = run_.saved_types.dtype_of(name + ".weight");
  double step = task.step;
  while (true) {
    done.options.levels->step = step;
    done.result = compress_matrix(weight, *task.site.work, done.options, name);
    const walk::StageTimer timer(run_.timings, "pack", name);
    const CodedCopy copy = coded_copy(done.result, dtype);
    done.level_bits = 8 * copy.size(name, run_.settings.grids).total();
    done.coded = copy.coded();
    if (levels_->accepts(name, done.level_bits)) return;
    step = levels_->step_for(name);
  }
}

/// The settings', for the ranks that work on it.
obs::CompressOptions SiteCompressor::options_of(const LinearTask& task) const {
  obs::CompressOptions options = run_.settings.matrix;
  options.rows.world = task.world;
  return options;
}

/// W0 of the drift correction; nothing where the streams have not parted.
std::optional<drift::DriftTarget> SiteCompressor::drift_target(const torch::Tensor& weight,
                                                               const LinearTask& task) const {
  const SiteWork& work = *task.site.work;
  if (!work.drift) return std::nullopt;
  const walk::StageTimer timer(run_.timings, "drift");
  return drift::correct_drift(weight, work.prepared, *work.drift, run_.settings.drift,
                              options_of(task));
}

/// The options of one linear in a measured plan.
obs::CompressOptions SiteCompressor::planned_options(const LinearTask& task) const {
  const LinearInfo& linear = task.linear;
  const SiteWork& work = *task.site.work;
  obs::CompressOptions options = options_of(task);
  const planning::LinearChoice& choice = rd_plan_->linears.at(linear.name);
  if (options.prune_m == 0) options.sparsity = choice.sparsity;
  options.block_type = choice.block_type;
  if (!choice.row_weight.empty()) {
    options.row_weight = row_weight_of(choice, run_.placement.device);
  }
  if (levels_ != nullptr) options.levels.emplace();
  if (choice.unit_bits.empty()) return options;
  if (choice.grid_columns == 0 && choice.unit_bits.size() == 1) {
    options.wbits = choice.unit_bits.front();
    return options;
  }
  quant::ColumnGroups groups;
  if (choice.grid_columns > 0) {
    groups.group_of_column = widths::grid_labels(work.input, linear.columns, choice.grid_columns,
                                                 run_.settings.grids.any_order);
    const auto count =
        *std::max_element(groups.group_of_column.begin(), groups.group_of_column.end()) + 1;
    groups.bits_of_group.assign(static_cast<std::size_t>(count), choice.unit_bits.front());
  } else {
    groups.group_of_column = choice.unit_of_column;
    groups.bits_of_group = choice.unit_bits;
  }
  options.groups = std::move(groups);
  return options;
}

SiteCompressor::LinearWork SiteCompressor::compress_weight(const torch::Tensor& weight,
                                                           const LinearTask& task,
                                                           std::vector<std::string>& warnings) {
  const LinearInfo& linear = task.linear;
  const SiteWork& work = *task.site.work;
  LinearWork done;
  const std::optional<drift::DriftTarget> corrected = drift_target(weight, task);
  const torch::Tensor target = corrected ? corrected->weight : weight;
  if (corrected) done.drift = corrected->share;
  if (planner_ != nullptr) {
    done.plan = planner_->plan(linear, target, work.groups, work.moments, run_.timings);
    if (!done.plan->warning.empty()) warnings.push_back(done.plan->warning);
    done.result = compress_planned(target, work, *done.plan, linear);
  } else {
    done.options = rd_plan_ != nullptr ? planned_options(task) : options_of(task);
    if (rd_plan_ == nullptr && run_.settings.types) {
      done.options.block_type = run_.settings.types->fixed(linear.name, linear.columns);
    }
    if (levels_ != nullptr) {
      compress_levels(target, task, done);
    } else {
      done.result = compress_matrix(target, work, done.options, linear.name);
    }
  }
  for (const auto& [step, seconds] : done.result.seconds) run_.timings["obs_" + step] += seconds;
  return done;
}

/// The weight to compress: the block's own, unless the walk computes in a type that has rounded it.
torch::Tensor SiteCompressor::dense_weight(const Block& block, const LinearInfo& linear) const {
  const std::string tensor = linear.name + ".weight";
  const torch::ScalarType stored = model::to_scalar_type(run_.saved_types.dtype_of(tensor));
  const bool exact = run_.placement.dtype == torch::kFloat32 || run_.placement.dtype == stored;
  if (exact || run_.settings.channel_scaling) return block.weight(linear.short_name);
  return model::to_torch(run_.saved_types.read(tensor)).to(run_.placement.device, torch::kFloat32);
}

SiteRecord SiteCompressor::compress_linear(const Block& block, const LinearTask& task) {
  check_interrupt();
  const LinearInfo& linear = task.linear;
  SiteTask& site = task.site;
  if (!site.work) site.work.emplace(prepare(site));
  const SiteWork& work = *site.work;
  std::map<std::string, double> clock;
  const walk::StageTimer timer(clock, "linear", linear.name);
  SiteRecord record;
  LinearWork done = compress_weight(dense_weight(block, linear), task, record.warnings);
  const torch::Tensor values = results_.rounded(linear, done.result.matrix);
  model::require_finite(values, linear.name + " (compressed)");

  const DType saved = run_.saved_types.dtype_of(linear.name + ".weight");
  report::LayerReport layer = describe_layer(linear, done.result, run_.settings, saved);
  describe_calibration(layer, work.input.stats, work.figures);
  if (done.plan) describe_widths(layer, *done.plan, work.groups);
  if (rd_plan_ != nullptr || run_.settings.types) describe_choice(layer, done.options);
  if (rd_plan_ != nullptr) {
    describe_damage(layer, rd_plan_->linears.at(linear.name), run_.settings.plan->sensitivity,
                    work.input.stats, done.result);
  }
  layer.drift = done.drift;
  if (done.plan && work.groups.affinity.defined() && linear.name == site.linears.front().name) {
    record.pictures.push_back(
        {linear.name, work.groups.affinity, work.groups.labels, done.plan->bits});
  }
  layer.seconds = timer.seconds();
  if (run_.settings.tune == 0) done.result.matrix.weight = values;
  record.linears.push_back(
      {linear.name, std::move(done.result.matrix), std::move(layer), done.level_bits, done.coded});
  return record;
}

}  // namespace sgpt_mi::compress
