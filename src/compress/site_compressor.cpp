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
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {
namespace {

using model::Block;
using model::LinearInfo;

/// Tries to meet a stored size whose mask is known only afterwards.
constexpr int kStoredTries = 6;
/// Windows a step of tuning: with more of them there are fewer steps.
constexpr std::int64_t kWindowsAStep = 2;

std::vector<LinearInfo> linears_of(const Block& block, model::Site site) {
  std::vector<LinearInfo> linears;
  for (const LinearInfo& linear : block.linears()) {
    if (linear.site == site) linears.push_back(linear);
  }
  return linears;
}

/// Puts a tensor that channels were scaled in back into its block.
void restore_tensor(Block& block, const std::string& name, const torch::Tensor& value,
                    torch::ScalarType dtype) {
  const LinearInfo& any = block.linears().front();
  const std::size_t prefix = any.name.size() - any.short_name.size();
  for (const LinearInfo& linear : block.linears()) {
    if (name == linear.name + ".weight")
      return block.set_weight(linear.short_name, value.to(dtype));
  }
  block.set_norm({name.substr(prefix), value});
}

torch::Tensor row_weight_of(const planning::LinearChoice& choice, torch::Device device) {
  return torch::tensor(choice.row_weight, torch::kFloat64).to(device);
}

}  // namespace

BlockResult SiteCompressor::take_result() { return std::move(result_); }

void SiteCompressor::warn_once(const std::string& text) {
  if (!text.empty() && warned_.insert(text).second) run_.events.warning(text);
}

void SiteCompressor::handle(Block& block, walk::SiteInput& input) {
  std::vector<LinearInfo> selected;
  for (const LinearInfo& linear : linears_of(block, input.site)) {
    if (run_.settings.selection.contains(input.layer, linear.name)) selected.push_back(linear);
  }
  if (selected.empty()) return;
  if (auto known = journal_.take(input.layer, input.site)) {
    return restore(block, selected, std::move(*known));
  }
  if (run_.settings.channel_scaling) scale_channels(block, input);
  const SiteWork work = prepare(input, selected.front().name);
  for (const LinearInfo& linear : selected) {
    check_interrupt();
    compress_linear(block, linear, work);
  }
  const walk::StageTimer timer(run_.timings, "journal");
  journal_.keep(input.layer, input.site, std::exchange(record_, {}));
}

void SiteCompressor::restore(Block& block, const std::vector<LinearInfo>& linears,
                             SiteRecord&& record) {
  const walk::StageTimer timer(run_.timings, "journal");
  for (const auto& [name, value] : record.tensors) {
    restore_tensor(block, name, value, run_.placement.dtype);
    finish_tensor(name, value);
  }
  record_ = {};
  for (GroupPicture& picture : record.pictures) result_.pictures.push_back(std::move(picture));
  ensure(record.linears.size() == linears.size(), "compress: a journal of another selection");
  for (std::size_t i = 0; i < linears.size(); ++i) {
    RecordedLinear& linear = record.linears[i];
    ensure(linear.name == linears[i].name, "compress: a journal of other linears");
    if (levels_ != nullptr) levels_->restore(linear.name, *linear.layer.step, linear.level_bits);
    block.set_weight(linears[i].short_name,
                     rounded(linears[i], linear.matrix).to(run_.placement.dtype));
    finish_or_wait({linears[i], std::move(linear.matrix)}, std::move(linear.layer));
    run_.events.restored(tunes() ? pending_.layers.back() : result_.layers.back());
    run_.events.progress(++done_);
  }
}

SiteCompressor::SiteWork SiteCompressor::prepare(const walk::SiteInput& input,
                                                 const std::string& name) {
  SiteWork work{input, {}, {}, {}, {}};
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
  if (planner_ == nullptr) return work;
  const bool keep_affinity = run_.keep_pictures && input.layer == 0;
  work.groups = planner_->groups_of(input, keep_affinity, run_.timings);
  work.moments = widths::channel_moments(input.stats, work.prepared.inverse_diagonal());
  return work;
}

void SiteCompressor::scale_channels(Block& block, walk::SiteInput& input) {
  const std::vector<LinearInfo> linears = linears_of(block, input.site);
  const auto norm =
      fold_channel_scaling(block, linears, *run_.settings.channel_scaling, input, run_.saved_types);
  if (norm.empty()) {
    warn_once("channel scaling is left out where no norm directly before the linear can take it");
    return;
  }
  for (const auto& [name, value] : norm) finish_tensor(name, value);
  for (const LinearInfo& linear : linears) {
    if (run_.settings.selection.contains(input.layer, linear.name)) continue;
    const std::string tensor = linear.name + ".weight";
    const torch::Tensor rounded = block.weight(linear.short_name)
                                      .to(model::to_scalar_type(run_.saved_types.dtype_of(tensor)));
    finish_tensor(tensor, rounded);
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

std::int64_t SiteCompressor::packed_bits(const obs::CompressResult& result, const std::string& name,
                                         DType dtype) const {
  const torch::Tensor rounded = result.matrix.weight.to(model::to_scalar_type(dtype));
  const CodedCopy coded(result.matrix, rounded, run_.settings.matrix, dtype, run_.settings.entropy);
  return 8 * coded.size(name, run_.settings.grids).total();
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
    const std::int64_t size = packed_bits(result, linear.name, dtype);
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
void SiteCompressor::compress_levels(const torch::Tensor& weight, const SiteWork& work,
                                     const LinearInfo& linear, LinearWork& done) {
  const DType dtype = run_.saved_types.dtype_of(linear.name + ".weight");
  do {
    done.options.levels->step = levels_->step_for(linear.name);
    done.result = compress_matrix(weight, work, done.options, linear.name);
    const walk::StageTimer timer(run_.timings, "pack", linear.name);
    done.level_bits = packed_bits(done.result, linear.name, dtype);
  } while (!levels_->settle(linear.name, done.level_bits));
}

/// W0 of the drift correction; nothing where the streams have not parted.
std::optional<obs::DriftTarget> SiteCompressor::drift_target(const torch::Tensor& weight,
                                                             const SiteWork& work) const {
  if (run_.settings.drift == 0.0 || !work.input.drift) return std::nullopt;
  const walk::StageTimer timer(run_.timings, "drift");
  std::vector<obs::DriftMoments> halves;
  for (const calib::DriftStats& half : *work.input.drift) {
    if (half.sequences == 0) continue;
    halves.push_back({half.cross(), half.residual(), half.sequences});
  }
  return obs::correct_drift(weight, work.prepared, halves, run_.settings.drift);
}

/// The options of one linear in a measured plan.
obs::CompressOptions SiteCompressor::planned_options(const LinearInfo& linear,
                                                     const SiteWork& work) const {
  obs::CompressOptions options = run_.settings.matrix;
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
                                                           const LinearInfo& linear,
                                                           const SiteWork& work) {
  LinearWork done;
  const std::optional<obs::DriftTarget> corrected = drift_target(weight, work);
  const torch::Tensor target = corrected ? corrected->weight : weight;
  if (corrected) done.drift = corrected->share;
  if (planner_ != nullptr) {
    done.plan = planner_->plan(linear, target, work.groups, work.moments, run_.timings);
    warn_once(done.plan->warning);
    done.result = compress_planned(target, work, *done.plan, linear);
  } else {
    done.options = rd_plan_ != nullptr ? planned_options(linear, work) : run_.settings.matrix;
    if (rd_plan_ == nullptr && run_.settings.types) {
      done.options.block_type = run_.settings.types->fixed(linear.name, linear.columns);
    }
    if (levels_ != nullptr) {
      compress_levels(target, work, linear, done);
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

void SiteCompressor::compress_linear(Block& block, const LinearInfo& linear, const SiteWork& work) {
  std::map<std::string, double> clock;
  const walk::StageTimer timer(clock, "linear", linear.name);
  LinearWork done = compress_weight(dense_weight(block, linear), linear, work);
  const torch::Tensor values = rounded(linear, done.result.matrix);
  model::require_finite(values, linear.name + " (compressed)");
  block.set_weight(linear.short_name, values.to(run_.placement.dtype));

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
  keep_picture(linear, work, done.plan);
  layer.seconds = timer.seconds();
  if (run_.journal != nullptr) {
    record_.linears.push_back({linear.name, done.result.matrix, layer, done.level_bits});
    if (!tunes()) record_.linears.back().matrix.weight = values;
  }
  finish_or_wait({linear, std::move(done.result.matrix)}, std::move(layer));
  run_.events.layer(tunes() ? pending_.layers.back() : result_.layers.back());
  run_.events.progress(++done_);
}

/// Hands a linear on, or keeps it for the tuning.
void SiteCompressor::finish_or_wait(tuning::CompressedLinear&& done, report::LayerReport layer) {
  if (!tunes()) return finish_linear(done, std::move(layer));
  pending_.linears.push_back(std::move(done));
  pending_.layers.push_back(std::move(layer));
}

void SiteCompressor::finish_tensor(const std::string& name, const torch::Tensor& rounded) {
  record_.tensors.emplace_back(name, rounded);
  if (tunes()) {
    pending_.tensors.insert_or_assign(name, rounded);
  } else {
    run_.store.put(model::to_tensor_data(name, rounded));
  }
}

/// Hands a linear in blocks to the store; bytes that it takes there.
std::int64_t SiteCompressor::store_blocks(const tuning::CompressedLinear& done) {
  const walk::StageTimer packing(run_.timings, "pack", done.linear.name);
  const std::vector<std::byte> bytes = quant::encode_blocks(done.matrix.codes, *done.matrix.blocks);
  if (run_.store.takes_blocks()) {
    run_.store.put_blocks(done.linear.name,
                          {done.matrix.blocks->type, done.linear.rows, done.linear.columns, bytes});
  } else {
    run_.store.put(
        model::to_tensor_data(done.linear.name + ".weight", rounded(done.linear, done.matrix)));
  }
  result_.block_types[done.linear.name] = done.matrix.blocks->type;
  return static_cast<std::int64_t>(bytes.size());
}

/// The values in their saved type.
torch::Tensor SiteCompressor::rounded(const LinearInfo& linear,
                                      const obs::CompressedMatrix& matrix) const {
  const DType saved = run_.saved_types.dtype_of(linear.name + ".weight");
  return matrix.weight.to(model::to_scalar_type(saved));
}

/// Hands a linear to the store; bytes that it takes there.
std::int64_t SiteCompressor::store_linear(const tuning::CompressedLinear& done) {
  if (done.matrix.blocks) return store_blocks(done);
  const torch::Tensor values = rounded(done.linear, done.matrix);
  const auto put_dense = [&] {
    run_.store.put(model::to_tensor_data(done.linear.name + ".weight", values));
  };
  if (!run_.holds_codes) {
    put_dense();
    return static_cast<std::int64_t>(values.nbytes());
  }
  const walk::StageTimer packing(run_.timings, "pack", done.linear.name);
  const CodedCopy coded(done.matrix, values, run_.settings.matrix,
                        model::from_scalar_type(values.scalar_type()), run_.settings.entropy);
  const packing::PackedSize size = coded.size(done.linear.name, run_.settings.grids);
  if (run_.store.takes_codes()) {
    run_.store.put_matrix(done.linear.name, coded.view(), size);
  } else {
    put_dense();
  }
  result_.packed += size;
  return size.total();
}

void SiteCompressor::finish_linear(const tuning::CompressedLinear& done,
                                   report::LayerReport layer) {
  std::map<std::string, double> clock;
  const walk::StageTimer timer(clock, "store", done.linear.name);
  const auto weights = static_cast<double>(done.linear.rows * done.linear.columns);
  const packing::PackedSize before = result_.packed;
  layer.stored_bits = 8.0 * static_cast<double>(store_linear(done)) / weights;
  if (run_.settings.entropy) {
    const std::int64_t bytes =
        result_.packed.codes + result_.packed.tables - before.codes - before.tables;
    layer.average_bits = 8.0 * static_cast<double>(bytes) / weights;
    layer.coded = true;
  }
  layer.seconds += timer.seconds();
  result_.layers.push_back(std::move(layer));
}

void SiteCompressor::report_tuning(const tuning::TunedModel& tuned) {
  result_.tuning =
      report::TuningReport{run_.settings.tune, tuned.kl_before, tuned.kl_after, tuned.kept};
  if (tuned.kept) return;
  run_.events.warning(fmt::format(
      "tune: {} windows took the divergence on the windows kept apart from {:.4f} to {:.4f} nats; "
      "the model stays as it was",
      run_.settings.tune, tuned.kl_before, tuned.kl_after));
}

void SiteCompressor::finish_model(formats::MemoryStore& student) {
  for (const auto& [name, value] : pending_.tensors) {
    student.put(model::to_tensor_data(name, value));
  }
  {
    const walk::StageTimer timer(run_.timings, "tune");
    model::Model student_model(run_.model.spec(), student);
    const text::TokenWindows windows = text::first_windows(run_.windows, run_.settings.tune);
    const tuning::TunedModel tuned =
        tuning::tune_model({run_.model, student_model, run_.placement, windows, run_.saved_types,
                            std::min(kWindowsAStep, run_.settings.batch_windows),
                            [&](std::int64_t done, std::int64_t total) {
                              if (done == 0) run_.events.stage("tune", total);
                              if (done > 0) run_.events.progress(done);
                            }},
                           pending_.linears);
    for (const auto& [name, value] : tuned.tensors) pending_.tensors.insert_or_assign(name, value);
    report_tuning(tuned);
  }
  for (const auto& [name, value] : pending_.tensors) {
    run_.store.put(model::to_tensor_data(name, value));
  }
  for (std::size_t i = 0; i < pending_.linears.size(); ++i) {
    finish_linear(pending_.linears[i], std::move(pending_.layers[i]));
  }
  pending_ = {};
}

/// Of every site whose affinity was kept, with the widths of its first linear.
void SiteCompressor::keep_picture(const LinearInfo& linear, const SiteWork& work,
                                  const std::optional<widths::LinearPlan>& plan) {
  if (!plan || !work.groups.affinity.defined()) return;
  const bool first =
      result_.pictures.empty() || !result_.pictures.back().affinity.is_same(work.groups.affinity);
  if (!first) return;
  result_.pictures.push_back({linear.name, work.groups.affinity, work.groups.labels, plan->bits});
  record_.pictures.push_back(result_.pictures.back());
}

}  // namespace sgpt_mi::compress
