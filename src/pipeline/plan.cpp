#include "plan.h"

#include <ATen/Parallel.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <torch/cuda.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "format_fit.h"
#include "rank_plan.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/planning/rd_measure.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/widths/width_planner.h"

namespace sgpt_mi::pipeline {
namespace {

std::string describe_pruning(const obs::CompressOptions& options) {
  if (options.prune_n > 0) {
    return options.pattern_text();
  }
  if (options.sparsity > 0.0) return fmt::format("sparsity {:g} unstructured", options.sparsity);
  return "no pruning";
}

std::string describe_target(const widths::WidthTarget& target) {
  if (target.bytes) return fmt::format("at most {} of files", human_bytes(*target.bytes));
  if (target.stored_bits)
    return fmt::format("at most {:g} bits a weight stored", *target.stored_bits);
  if (target.attention_bits || target.ffn_bits) {
    return fmt::format("{:g} code bits in the attention, {:g} in the MLP",
                       target.attention_bits.value_or(target.average_bits),
                       target.ffn_bits.value_or(target.average_bits));
  }
  return fmt::format("{:g} code bits a weight", target.average_bits);
}

std::string describe_widths(const widths::WidthOptions& widths) {
  const widths::GroupingOptions& grouping = widths.grouping;
  std::string groups = "every channel by itself";
  if (grouping.grouping != widths::Grouping::kChannels) {
    groups = fmt::format("{} groups by {}",
                         grouping.groups == 0 ? "auto" : std::to_string(grouping.groups),
                         widths::grouping_name(grouping.grouping));
  }
  return fmt::format("widths {}, {}, {} for {}{}", fmt::join(widths.levels, "/"), groups,
                     widths::bit_allocation_name(widths.allocation), describe_target(widths.target),
                     widths.target.over_model ? " over the model" : "");
}

std::string describe_plan(const planning::PlanOptions& plan) {
  const widths::GroupingOptions& grouping = plan.widths.grouping;
  const std::string units =
      grouping.groups == 1
          ? "linears"
          : fmt::format("{} groups of columns by {}",
                        grouping.groups == 0 ? "auto" : std::to_string(grouping.groups),
                        widths::grouping_name(grouping.grouping));
  return fmt::format("widths {} of {}, {} over the model", fmt::join(plan.widths.levels, "/"),
                     units, describe_target(plan.widths.target));
}

std::string describe_types(const compress::CompressionSettings& settings) {
  const planning::TypeOptions& types = *settings.types;
  if (types.standard == nullptr) {
    return fmt::format("block types by measured damage, {}",
                       describe_target(settings.plan->widths.target));
  }
  return fmt::format("blocks of {}{}", types.standard->name,
                     types.by_name.empty() ? "" : ", others by name");
}

/// What levels are planned for. A target in code bits means the size of such codes.
std::string describe_levels(const compress::CompressionSettings& settings) {
  const widths::WidthTarget& target = settings.plan->widths.target;
  std::string size = describe_target(target);
  if (!target.bytes && !target.stored_bits) {
    size = fmt::format("no more bytes than {:g}-bit codes", target.average_bits);
  }
  return fmt::format("entropy-coded, steps by row and column, {}; embedding and head {}", size,
                     wants_level_ends(settings) ? "too" : "kept");
}

std::string describe_grid(const compress::CompressionSettings& settings) {
  if (settings.entropy && settings.plan) return describe_levels(settings);
  if (settings.types) return describe_types(settings);
  if (settings.widths) return describe_widths(*settings.widths);
  const bool planned = settings.plan && settings.quantizes();
  if (planned && (settings.plan->plan_widths || settings.matrix.groupsize == -1)) {
    return describe_plan(*settings.plan);
  }
  const obs::CompressOptions& options = settings.matrix;
  if (!options.quantizes()) return "no quantization";
  return fmt::format("{}-bit {} codes, one grid per row{}{}", options.wbits,
                     options.symmetric ? "symmetric" : "asymmetric",
                     options.groupsize > 0 ? fmt::format(" and {} columns", options.groupsize) : "",
                     options.mse ? ", clip search" : "");
}

/// Counts the selected linears and checks that the options fit each of them.
std::int64_t check_linears(const CompressRun& run, const model::Model& model) {
  const compress::CompressionSettings& settings = run.compression;
  const auto selected = walk::selected_linears(model, settings.selection);
  for (const model::LinearInfo& linear : selected) {
    settings.matrix.validate_for(linear.name, linear.columns);
    require_linear(run, linear);
  }
  if (selected.empty()) {
    fail(ErrorKind::kUsage,
         "no linear is selected by --minlayer, --maxlayer, --prune_only and --invert");
  }
  return static_cast<std::int64_t>(selected.size());
}

/// The selected linears without curves.
planning::Measurements linears_of(const model::Model& model,
                                  const walk::LayerSelection& selection) {
  planning::Measurements result;
  for (const model::LinearInfo& linear : walk::selected_linears(model, selection)) {
    planning::LinearCurves& curves = result.linears.emplace_back();
    curves.name = linear.name;
    curves.rows = linear.rows;
    curves.columns = linear.columns;
    curves.unit_of_column.assign(static_cast<std::size_t>(linear.columns), 0);
  }
  return result;
}

/// Refuses a target that no widths can reach.
void check_target(const CompressRun& run, const Session& session) {
  const compress::CompressionSettings& settings = run.compression;
  if (!settings.widths && !settings.plan && !settings.types) return;
  const formats::SavedTypes types = saved_types(session, settings);
  const compress::CompressionSettings complete = with_types(run, session, types);
  const SizeBudget budget = size_budget(types, session.model, complete);
  if (complete.types) {
    std::vector<std::string> names;
    for (const auto& linear : walk::selected_linears(session.model, settings.selection)) {
      names.push_back(linear.name);
    }
    complete.types->require_used(std::move(names));
  }
  if (settings.plan) {
    planning::require_plannable(linears_of(session.model, settings.selection), complete.goal(),
                                budget.stored_bits);
    return;
  }
  if (!settings.widths) return;
  static_cast<void>(widths::WidthPlanner(
      {*settings.widths, settings.matrix, settings.selection, budget.stored_bits}, session.model));
}

}  // namespace

std::int64_t journal_bytes(const Session& session, const compress::CompressionSettings& settings) {
  constexpr std::int64_t kCodeBytes = 3;
  const formats::SavedTypes types = saved_types(session, settings);
  std::int64_t bytes = 0;
  for (std::int64_t layer = 0; layer < session.model.spec().layers; ++layer) {
    for (const model::LinearInfo& linear : session.model.block_linears(layer)) {
      if (!settings.selection.contains(layer, linear.name)) continue;
      const auto value =
          static_cast<std::int64_t>(dtype_size(types.dtype_of(linear.name + ".weight")));
      bytes += linear.rows * linear.columns * (value + kCodeBytes);
    }
  }
  return bytes;
}

namespace {

/// The output folder must not be the model itself, which would be replaced while it is read, and
/// its disk must have room.
void check_save_dir(const CompressRun& run, const Session& session) {
  if (run.save_dir.empty()) return;
  formats::require_other_place(run.save_dir, session.checkpoint.location);
  const std::int64_t saved = most_saved_bytes(run, session, saved_types(session, run.compression));
  formats::require_space(run.save_dir, saved + journal_bytes(session, run.compression));
}

/// Where the activations of the calibration windows lie.
std::string describe_activations(const memory::MemoryPlan& memory, bool on_gpu) {
  std::string text = fmt::format("{} of activations: {} {}", human_bytes(memory.activation_bytes),
                                 human_bytes(memory.activations.device_bytes),
                                 on_gpu ? "on the GPU" : "in memory");
  if (memory.host_states > 0) text += ", " + human_bytes(memory.host_states) + " in pinned memory";
  if (memory.file_states > 0) {
    text += fmt::format(", {} in a file in {}", human_bytes(memory.file_states),
                        memory::temporary_folder().string());
  }
  return fmt::format("{}; {} window{} a forward", text, memory.batch_windows,
                     memory.batch_windows == 1 ? "" : "s");
}

void warn_of_memory(const memory::MemoryLimit& limit, const memory::MemoryPhase& phase,
                    const memory::MemoryNeeds& needs, report::Events& events) {
  if (!limit.bytes || memory::total_of(needs) <= *limit.bytes) return;
  events.warning(fmt::format(
      "{} may need {} of memory, this machine has {} free; fewer or shorter windows (--nsamples, "
      "--seqlen, --eval_windows) need less",
      phase.name, human_bytes(memory::total_of(needs)), human_bytes(*limit.bytes)));
}

/// What this rank may plan with: of what is free its share, which it has in common with the others
/// on its machine, and on its GPU where there are fewer.
memory::MemoryLimits limits_of(const CompressRun& run, const Session& session) {
  memory::MemoryLimits limits = memory::memory_limits(run.max_memory, session.placement.device);
  const int local = session.world.local_size();
  const auto share = [](memory::MemoryLimit& limit, int ranks) {
    if (limit.bytes && !limit.asked_for) limit.bytes = *limit.bytes / ranks;
  };
  share(limits.host, local);
  const bool named = run.model.device.starts_with("cuda:");  // all take that one
  const int gpus = named ? 1 : std::max<int>(1, torch::cuda::device_count());
  share(limits.device, (local + gpus - 1) / gpus);
  return limits;
}

void tell_memory(const CompressRun& run, const PreparedRun& prepared, report::Events& events) {
  const memory::MemoryPlan& memory = prepared.memory;
  const torch::Device device = prepared.session.placement.device;
  const memory::MemoryLimits limits = limits_of(run, prepared.session);
  const memory::MemoryPhase& host = memory.host_peak();
  const memory::MemoryPhase& gpu = memory.device_peak();
  if (device.is_cuda()) {
    const std::int64_t total = memory::total_of(gpu.device);
    events.plan(fmt::format("memory     GPU at most {}, {}: {}", human_bytes(total), gpu.name,
                            memory::describe_needs(gpu.device)));
    if (!limits.device.bytes) {
      events.plan(
          fmt::format("           no CUDA device is here; this is the plan for a GPU with "
                      "{} free or more, or as much as --max_memory says",
                      human_bytes(total)));
    }
  }
  events.plan(fmt::format(
      "{} host at most {}, {}: {}", device.is_cuda() ? "          " : "memory    ",
      human_bytes(memory::total_of(host.host)), host.name, memory::describe_needs(host.host)));
  events.plan("           " + describe_activations(memory, device.is_cuda()));
  if (device.is_cuda()) warn_of_memory(limits.device, gpu, gpu.device, events);
  warn_of_memory(limits.host, host, host.host, events);
}

/// What memory depends on of the method.
void describe_method(const compress::CompressionSettings& settings,
                     memory::MemoryQuestion& question) {
  question.batch_windows = settings.batch_windows;
  question.true_sequential = settings.true_sequential;
  question.dense_stream = settings.follows_dense();
  question.corrects_drift = settings.drift > 0.0;
  question.corrects_residual = settings.drift > 0.0 && settings.drift_residual;
  question.refines = settings.matrix.refine.any();
  question.tuned_windows = settings.tune;
  if (settings.widths) {
    const widths::GroupingOptions& grouping = settings.widths->grouping;
    question.chooses_widths = true;
    question.sampled_tokens = grouping.sample_tokens;
    question.groups_channels = grouping.grouping != widths::Grouping::kChannels;
  }
  if (settings.plan) {
    const auto split = planning::split_windows(question.windows, *settings.plan);
    question.measured_windows = split.measured;
    question.held_out_windows = split.held_out;
    question.backward_pass = settings.plan->sensitivity == planning::Sensitivity::kFisher;
  }
}

/// The devices that compress beside the first.
std::string describe_further_devices(const obs::RowPlacement& rows) {
  std::string text;
  for (std::size_t i = 1; i < rows.devices.size(); ++i) {
    text += (i == 1 ? "; rows of matrices shared with " : ", ") + rows.devices[i].str();
  }
  return text;
}

/// Whether matrices that lie packed are read: of the model, or of the result that is scored. What
/// several ranks score, and what one reads for all, arrives dense.
bool decodes_on_gpu(const CompressRun& run, const Session& session) {
  const formats::Checkpoint& checkpoint = session.checkpoint;
  const bool result = run.format.holds_codes && !run.save_dir.empty() && run.model.ranks() == 1;
  const bool model = !checkpoint.packed_matrices.empty() && !run.model.broadcast_weights &&
                     checkpoint.codes->packed_parts(checkpoint.packed_matrices.front().dense.name);
  return result || model;
}

/// The type that most of the model's bytes have in its files; of GGUF files perhaps one of blocks.
std::string stored_type(const Session& session) {
  if (!session.checkpoint.location.is_gguf) return std::string(dtype_name(session.stored_dtype()));
  const containers::TensorSource& tensors = *session.checkpoint.tensors;
  std::map<std::string, std::int64_t> bytes;
  for (const containers::TensorInfo& info : tensors.tensors()) {
    const containers::StoredForm form = tensors.stored(info.name);
    bytes[std::string(form.type)] += form.bytes;
  }
  return std::max_element(bytes.begin(), bytes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace

SizeBudget size_budget(const formats::SavedTypes& types, const model::Model& model,
                       const compress::CompressionSettings& settings) {
  std::vector<formats::MatrixShape> selected;
  for (const model::LinearInfo& linear : walk::selected_linears(model, settings.selection)) {
    selected.push_back({linear.name, linear.rows, linear.columns});
  }
  selected.insert(selected.end(), settings.level_ends.begin(), settings.level_ends.end());
  const std::size_t parts =
      settings.entropy && settings.plan ? packing::kLevelParts : packing::kPackedPartKinds;
  SizeBudget budget{formats::fixed_size(types, selected, parts), std::nullopt};
  const widths::WidthTarget* target = settings.width_target();
  const bool by_types = settings.types && target != nullptr && target->bytes;  // their budget_bits
  if (target != nullptr && !by_types) {
    budget.stored_bits = planning::stored_bits_target(*target, budget.fixed);
  }
  return budget;
}

std::int64_t check_run(const CompressRun& run, const Session& session) {
  check_save_dir(run, session);
  if (run.format.check != nullptr) run.format.check(session.checkpoint);
  const std::int64_t selected = check_linears(run, session.model);
  check_target(run, session);
  return selected;
}

void tell_plan(const CompressRun& run, const PreparedRun& prepared, report::Events& events) {
  const Session& session = prepared.session;
  const model::ModelSpec& spec = session.model.spec();
  const text::TokenWindows& windows = prepared.calibration.windows;
  session::tell_notes(session.checkpoint, events);
  events.plan(fmt::format("model      {}: {}, {} layers, {} parameters, {} as stored ({})",
                          session.checkpoint.location.path.string(), spec.model_type, spec.layers,
                          session.parameters(), human_bytes(session.stored_bytes()),
                          stored_type(session)));
  const torch::ScalarType walk =
      session.calibration(run.compression.channel_scaling.has_value()).dtype;
  events.plan(
      fmt::format("compute    {}, {}{}, {} threads{}", session.placement.device.str(),
                  session::scalar_type_name(session.placement.dtype),
                  walk == session.placement.dtype
                      ? ""
                      : fmt::format(" (calibration in {})", session::scalar_type_name(walk)),
                  at::get_num_threads(), describe_further_devices(session.rows)));
  events.plan(fmt::format("calibrate  {}: {} windows of {} tokens, seed {}",
                          prepared.calibration.dataset, windows.windows, windows.seqlen,
                          run.calibration.seed));
  for (const std::string& warning : prepared.calibration.warnings) events.warning(warning);
  events.plan(fmt::format(
      "compress   {}: {}; {}; {} linears{}{}", compress::method_name(run.compression.method),
      describe_pruning(run.compression.matrix), describe_grid(run.compression),
      prepared.selected_linears, run.compression.true_sequential ? ", true-sequential" : "",
      run.fixed_by.empty() ? "" : "; not entropy-coded because of --" + run.fixed_by));
  tell_memory(run, prepared, events);
  tell_ranks(run, prepared, events);
  std::vector<std::string> sets;
  for (const text::EvalSet& set : prepared.eval_sets) {
    sets.push_back(
        fmt::format("{} ({} windows of {})", set.name, set.windows.windows, set.windows.seqlen));
  }
  events.plan(sets.empty() ? session.is_random() ? "evaluate   none: random weights predict nothing"
                                                 : "evaluate   none"
                           : fmt::format("evaluate   {}", fmt::join(sets, ", ")));
  events.plan("save       " + (run.save_dir.empty()
                                   ? "nothing (--save keeps the model)"
                                   : fmt::format("{} ({})", run.save_dir, run.format.description)));
  warn_of_format(run, session, events);
}

memory::MemoryPlan plan_memory(const CompressRun& run, const PreparedRun& prepared) {
  const Session& session = prepared.session;
  const text::TokenWindows& windows = prepared.calibration.windows;
  memory::MemoryQuestion question{session.model, session.placement};
  question.parameters = session.parameters();
  question.stored_bytes = static_cast<std::int64_t>(dtype_size(session.stored_dtype()));
  question.windows = windows.windows;
  question.seqlen = windows.seqlen;
  for (const text::EvalSet& set : prepared.eval_sets) {
    question.eval_windows.push_back(set.windows.windows);
    question.eval_seqlen = std::max(question.eval_seqlen, set.windows.seqlen);
  }
  describe_method(run.compression, question);
  question.keeps_weights = run.save_dir.empty() && session.world.leads();
  question.ranks = run.model.ranks();
  question.packs = run.format.holds_codes;
  question.decodes = decodes_on_gpu(run, session);
  question.program_bytes = memory::resident_bytes();
  const memory::MemoryLimits limits = limits_of(run, session);
  memory::MemoryPlan plan = memory::make_memory_plan(question, limits);
  const std::int64_t batch = ranks::least_of(session.world, plan.batch_windows);
  if (batch == plan.batch_windows) return plan;
  question.batch_windows = batch;  // sums are cut into lanes of batches, which all ranks share
  return memory::make_memory_plan(question, limits);
}

}  // namespace sgpt_mi::pipeline
