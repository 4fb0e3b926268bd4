#include "plan.h"

#include <ATen/Parallel.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "rd_measure.h"
#include "rd_plan.h"
#include "saved_size.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/report/run_report.h"
#include "weight_store.h"
#include "width_planner.h"

namespace sgpt_mi::pipeline {
namespace {

using report::human_bytes;

constexpr std::int64_t kFloatBytes = 4;

std::string describe_pruning(const obs::CompressOptions& options) {
  if (options.prune_n > 0) {
    return fmt::format("{} of every {} weights kept ({}:{} pattern, {} zeroed)",
                       options.prune_m - options.prune_n, options.prune_m,
                       options.prune_m - options.prune_n, options.prune_m, options.prune_n);
  }
  if (options.sparsity > 0.0) return fmt::format("sparsity {:g} unstructured", options.sparsity);
  return "no pruning";
}

std::string describe_target(const WidthTarget& target) {
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

std::string describe_widths(const WidthOptions& widths) {
  const GroupingOptions& grouping = widths.grouping;
  std::string groups = "every channel by itself";
  if (grouping.grouping != Grouping::kChannels) {
    groups = fmt::format("{} groups by {}",
                         grouping.groups == 0 ? "auto" : std::to_string(grouping.groups),
                         grouping_name(grouping.grouping));
  }
  return fmt::format("widths {}, {}, {} for {}{}", fmt::join(widths.levels, "/"), groups,
                     bit_allocation_name(widths.allocation), describe_target(widths.target),
                     widths.target.over_model ? " over the model" : "");
}

std::string describe_plan(const PlanOptions& plan) {
  const GroupingOptions& grouping = plan.widths.grouping;
  const std::string units =
      grouping.groups == 1
          ? "linears"
          : fmt::format("{} groups of columns by {}",
                        grouping.groups == 0 ? "auto" : std::to_string(grouping.groups),
                        grouping_name(grouping.grouping));
  return fmt::format("widths {} of {}, {} over the model", fmt::join(plan.widths.levels, "/"),
                     units, describe_target(plan.widths.target));
}

std::string describe_grid(const CompressionSettings& settings) {
  if (settings.widths) return describe_widths(*settings.widths);
  if (settings.plan && settings.quantizes()) return describe_plan(*settings.plan);
  const obs::CompressOptions& options = settings.matrix;
  if (!options.quantizes()) return "no quantization";
  return fmt::format("{}-bit {} codes, one grid per row{}{}", options.wbits,
                     options.symmetric ? "symmetric" : "asymmetric",
                     options.groupsize > 0 ? fmt::format(" and {} columns", options.groupsize) : "",
                     options.mse ? ", clip search" : "");
}

std::string describe_format(SaveFormat format) {
  return format == SaveFormat::kPacked ? " (packed)" : " (Hugging Face folder)";
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text.empty() ? "none" : text;
}

/// Counts the selected linears and checks that the options fit each of them.
std::int64_t check_linears(const CompressionSettings& settings, const model::Model& model) {
  std::int64_t selected = 0;
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    for (const model::LinearInfo& linear : model.block_linears(layer)) {
      if (!settings.selection.contains(layer, linear.name)) continue;
      settings.matrix.validate_for(linear.name, linear.columns);
      ++selected;
    }
  }
  if (selected == 0) {
    fail(ErrorKind::kUsage,
         "no linear is selected by --minlayer, --maxlayer, --prune_only and --invert");
  }
  return selected;
}

/// The selected linears without curves.
Measurements linears_of(const model::Model& model, const LayerSelection& selection) {
  Measurements result;
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    for (const model::LinearInfo& linear : model.block_linears(layer)) {
      if (!selection.contains(layer, linear.name)) continue;
      LinearCurves& curves = result.linears.emplace_back();
      curves.name = linear.name;
      curves.rows = linear.rows;
      curves.columns = linear.columns;
      curves.unit_of_column.assign(static_cast<std::size_t>(linear.columns), 0);
    }
  }
  return result;
}

/// Refuses a target that no widths can reach.
void check_target(const CompressionSettings& settings, const Session& session) {
  if (!settings.widths && !settings.plan) return;
  const SavedTypes types(session.checkpoint);
  const FixedSize fixed = fixed_size(types, session.model, settings.selection);
  if (settings.plan) {
    require_plannable(linears_of(session.model, settings.selection), settings,
                      stored_bits_target(settings, fixed));
    return;
  }
  static_cast<void>(WidthPlanner(settings, session.model, stored_bits_target(settings, fixed)));
}

/// The output folder must not be the model itself: it would be replaced while it is read.
void check_save_dir(const CompressRun& run, const Session& session) {
  if (run.save_dir.empty()) return;
  std::error_code error;
  if (std::filesystem::equivalent(run.save_dir, session.checkpoint.location.path, error)) {
    fail(ErrorKind::kUsage, "save: {} is the model's own folder; give another one", run.save_dir);
  }
}

std::int64_t available_host_bytes() {
  const long pages = sysconf(_SC_AVPHYS_PAGES);
  const long size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<std::int64_t>(pages) * size : 0;
}

void tell_memory(const CompressRun& run, const PreparedRun& prepared, Events& events) {
  const MemoryPlan memory = plan_memory(run, prepared);
  events.plan(
      fmt::format("memory     {} at the peak: activations {}, block {}, H {}, workspace "
                  "{}, planning {}, kept weights {}, dense final states {}",
                  human_bytes(memory.total()), human_bytes(memory.activations),
                  human_bytes(memory.block_weights), human_bytes(memory.hessians),
                  human_bytes(memory.workspace), human_bytes(memory.planning),
                  human_bytes(memory.kept_weights), human_bytes(memory.dense_states)));
  const std::int64_t available = available_host_bytes();
  if (prepared.session.placement.device.is_cpu() && available > 0 && memory.total() > available) {
    events.warning(
        fmt::format("the run needs about {} of memory, {} are free; fewer --nsamples or "
                    "a shorter --seqlen need less",
                    human_bytes(memory.total()), human_bytes(available)));
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

}  // namespace

std::int64_t check_run(const CompressRun& run, const Session& session) {
  check_save_dir(run, session);
  const std::int64_t selected = check_linears(run.compression, session.model);
  check_target(run.compression, session);
  return selected;
}

void tell_plan(const CompressRun& run, const PreparedRun& prepared, Events& events) {
  const Session& session = prepared.session;
  const model::ModelSpec& spec = session.model.spec();
  const text::TokenWindows& windows = prepared.calibration.windows;
  events.plan(fmt::format("model      {}: {}, {} layers, {} parameters, {} as stored ({})",
                          session.checkpoint.location.path.string(), spec.model_type, spec.layers,
                          session.parameters(), human_bytes(session.stored_bytes()),
                          dtype_name(session.stored_dtype())));
  events.plan(fmt::format("compute    {}, {}, {} threads{}", session.placement.device.str(),
                          scalar_type_name(session.placement.dtype), at::get_num_threads(),
                          describe_further_devices(session.rows)));
  events.plan(fmt::format("calibrate  {}: {} windows of {} tokens, seed {}",
                          run.calibration.dataset, windows.windows, windows.seqlen,
                          run.calibration.seed));
  events.plan(fmt::format(
      "compress   {}: {}; {}; {} linears{}", method_name(run.compression.method),
      describe_pruning(run.compression.matrix), describe_grid(run.compression),
      prepared.selected_linears, run.compression.true_sequential ? ", true-sequential" : ""));
  tell_memory(run, prepared, events);
  std::vector<std::string> sets;
  for (const text::EvalSet& set : prepared.eval_sets) {
    sets.push_back(
        fmt::format("{} ({} windows of {})", set.name, set.windows.windows, set.windows.seqlen));
  }
  events.plan("evaluate   " + join(sets));
  events.plan("save       " + (run.save_dir.empty() ? "nothing (--save DIR keeps the model)"
                                                    : run.save_dir + describe_format(run.format)));
}

MemoryPlan plan_memory(const CompressRun& run, const PreparedRun& prepared) {
  const Session& session = prepared.session;
  const text::TokenWindows& windows = prepared.calibration.windows;
  const auto element = static_cast<std::int64_t>(c10::elementSize(session.placement.dtype));
  MemoryPlan plan;
  plan.activations = 2 * windows.windows * windows.seqlen * session.model.spec().hidden * element;
  std::map<model::Site, std::int64_t> hessian_of_site;
  std::int64_t block_elements = 0;
  for (const model::LinearInfo& linear : session.model.block_linears(0)) {
    const std::int64_t square = linear.columns * linear.columns;
    const std::int64_t count = linear.rows * linear.columns;
    hessian_of_site[linear.site] = kFloatBytes * square;
    block_elements += count;
    // H damped, its factor and a spare; W, the swept copy, codes and mask.
    plan.workspace = std::max(plan.workspace, 3 * kFloatBytes * square + 4 * kFloatBytes * count);
  }
  if (run.compression.widths && run.compression.widths->grouping.grouping != Grouping::kChannels) {
    std::int64_t largest = 0;
    for (const auto& [site, bytes] : hessian_of_site) largest = std::max(largest, bytes);
    plan.workspace += largest;  // the affinity of the channels
  }
  if (run.compression.matrix.refine.any()) {
    // H damped again, the target, its gradient and what a step of the refit needs.
    plan.workspace += plan.workspace / 2;
  }
  if (run.compression.follows_dense()) plan.activations *= 2;
  plan.block_weights = block_elements * element;
  for (const auto& [site, bytes] : hessian_of_site) {
    plan.hessians =
        run.compression.true_sequential ? std::max(plan.hessians, bytes) : plan.hessians + bytes;
  }
  if (run.compression.follows_dense()) plan.hessians *= 2;  // C beside H
  if (run.save_dir.empty()) {
    plan.kept_weights = block_elements * session.model.spec().layers *
                        static_cast<std::int64_t>(dtype_size(session.stored_dtype()));
  }
  if (run.compression.plan) {
    const std::int64_t measured = split_windows(windows.windows, *run.compression.plan).measured;
    const std::int64_t layers = session.model.spec().layers;
    const std::int64_t block_inputs =
        layers * measured * windows.seqlen * session.model.spec().hidden * element;
    const std::int64_t trial =
        block_elements * layers * static_cast<std::int64_t>(dtype_size(session.stored_dtype()));
    plan.planning = std::max(block_inputs, trial);
  }
  for (const text::EvalSet& set : prepared.eval_sets) {
    plan.dense_states += set.windows.windows * (set.windows.seqlen - 1) *
                         session.model.spec().word_embed_dim * element;
  }
  return plan;
}

}  // namespace sgpt_mi::pipeline
