#include "plan.h"

#include <ATen/Parallel.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "evaluate.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pipeline/run.h"
#include "sgpt_mi/report/run_report.h"

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

std::string describe_grid(const obs::CompressOptions& options) {
  if (!options.quantizes()) return "no quantization";
  return fmt::format("{}-bit {} codes, one grid per row{}{}", options.wbits,
                     options.symmetric ? "symmetric" : "asymmetric",
                     options.groupsize > 0 ? fmt::format(" and {} columns", options.groupsize) : "",
                     options.mse ? ", clip search" : "");
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

/// The output folder must not be the model itself: it would be replaced while it is read.
void check_save_dir(const CompressRun& run, const Session& session) {
  if (run.save_dir.empty()) return;
  std::error_code error;
  if (std::filesystem::equivalent(run.save_dir, session.checkpoint.location.path, error)) {
    fail(ErrorKind::kUsage, "save: {} is the model's own folder; give another one", run.save_dir);
  }
}

bool needs_tokenizer(const CompressRun& run) {
  return !is_recorded(run.calibration.dataset) ||
         !std::all_of(run.eval.sets.begin(), run.eval.sets.end(), is_recorded);
}

std::int64_t available_host_bytes() {
  const long pages = sysconf(_SC_AVPHYS_PAGES);
  const long size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<std::int64_t>(pages) * size : 0;
}

void tell_memory(const CompressRun& run, const PreparedRun& prepared, Events& events) {
  const MemoryPlan memory = plan_memory(run, *prepared.session, prepared.calibration.windows);
  events.plan(
      fmt::format("memory     {} at the peak: activations {}, block {}, H {}, workspace "
                  "{}, kept weights {}",
                  human_bytes(memory.total()), human_bytes(memory.activations),
                  human_bytes(memory.block_weights), human_bytes(memory.hessians),
                  human_bytes(memory.workspace), human_bytes(memory.kept_weights)));
  const std::int64_t available = available_host_bytes();
  if (prepared.session->placement.device.is_cpu() && available > 0 && memory.total() > available) {
    events.warning(
        fmt::format("the run needs about {} of memory, {} are free; fewer --nsamples or "
                    "a shorter --seqlen need less",
                    human_bytes(memory.total()), human_bytes(available)));
  }
}

void tell_plan(const CompressRun& run, const PreparedRun& prepared, Events& events) {
  const Session& session = *prepared.session;
  const model::ModelSpec& spec = session.model.spec();
  const text::TokenWindows& windows = prepared.calibration.windows;
  events.plan(fmt::format("model      {}: {}, {} layers, {} parameters, {} as stored ({})",
                          session.checkpoint.location.path.string(), spec.model_type, spec.layers,
                          session.parameters(), human_bytes(session.stored_bytes()),
                          dtype_name(session.stored_dtype())));
  events.plan(fmt::format("compute    {}, {}, {} threads", session.placement.device.str(),
                          scalar_type_name(session.placement.dtype), at::get_num_threads()));
  events.plan(fmt::format("calibrate  {}: {} windows of {} tokens, seed {}",
                          run.calibration.dataset, windows.windows, windows.seqlen,
                          run.calibration.seed));
  events.plan(fmt::format(
      "compress   {}: {}; {}; {} linears{}", method_name(run.compression.method),
      describe_pruning(run.compression.matrix), describe_grid(run.compression.matrix),
      prepared.selected_linears, run.compression.true_sequential ? ", true-sequential" : ""));
  tell_memory(run, prepared, events);
  std::vector<std::string> sets;
  for (const text::EvalSet& set : prepared.eval_sets) {
    sets.push_back(
        fmt::format("{} ({} windows of {})", set.name, set.windows.windows, set.windows.seqlen));
  }
  events.plan("evaluate   " + join(sets));
  events.plan("save       " + (run.save_dir.empty() ? "nothing (--save DIR keeps the model)"
                                                    : run.save_dir + " (Hugging Face folder)"));
}

}  // namespace

MemoryPlan plan_memory(const CompressRun& run, const Session& session,
                       const text::TokenWindows& windows) {
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
  plan.block_weights = block_elements * element;
  for (const auto& [site, bytes] : hessian_of_site) {
    plan.hessians =
        run.compression.true_sequential ? std::max(plan.hessians, bytes) : plan.hessians + bytes;
  }
  if (run.save_dir.empty()) {
    plan.kept_weights = block_elements * session.model.spec().layers *
                        static_cast<std::int64_t>(dtype_size(session.stored_dtype()));
  }
  return plan;
}

PreparedRun prepare_compress(const CompressRun& run, Events& events) {
  run.validate();
  PreparedRun prepared;
  prepared.session = std::make_unique<Session>(run.model);
  const Session& session = *prepared.session;
  check_save_dir(run, session);
  prepared.selected_linears = check_linears(run.compression, session.model);

  const std::unique_ptr<text::Tokenizer> tokenizer =
      needs_tokenizer(run) ? load_tokenizer_of(session.checkpoint) : nullptr;
  text::CalibrationOptions options;
  options.nsamples = run.calibration.nsamples;
  options.seqlen = session.resolve_seqlen(run.eval.seqlen);
  options.seed = run.calibration.seed;
  prepared.calibration = text::draw_calibration(
      run.calibration.dataset, text::DataSettings{run.eval.data_dir}, tokenizer.get(), options);
  check_windows(prepared.calibration.windows, session.model.spec(), run.calibration.dataset);
  prepared.eval_sets = load_eval_sets(run.eval, session, tokenizer.get());
  tell_plan(run, prepared, events);
  return prepared;
}

void plan_compress(const CompressRun& run, Events& events) {
  static_cast<void>(prepare_compress(run, events));
}

}  // namespace sgpt_mi::pipeline
