#include "sgpt_mi/pipeline/run.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <utility>

#include "compress_blocks.h"
#include "evaluate.h"
#include "model_files.h"
#include "plan.h"
#include "session.h"
#include "sgpt_mi/io/output.h"
#include "stage_clock.h"
#include "weight_store.h"

namespace sgpt_mi::pipeline {
namespace {

using report::RunReport;

std::int64_t peak_host_bytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;  // Linux counts kilobytes
}

report::ModelReport describe_model(const Session& session) {
  report::ModelReport model;
  model.path = session.checkpoint.location.path.string();
  model.family = session.model.spec().model_type;
  model.layers = session.model.spec().layers;
  model.parameters = session.parameters();
  model.bytes = session.stored_bytes();
  return model;
}

report::CalibrationReport describe_calibration(const text::CalibrationSet& set,
                                               std::uint64_t seed) {
  return {set.dataset, set.windows.windows, set.windows.seqlen, seed, set.windows.sha256()};
}

/// What the user should know of the compressed layers taken together.
void warn_of_layers(RunReport& report, Events& events) {
  std::int64_t deficient = 0;
  std::int64_t dead = 0;
  std::int64_t constant = 0;
  std::int64_t retried = 0;
  for (const report::LayerReport& layer : report.layers) {
    deficient += layer.rank_deficient ? 1 : 0;
    dead += layer.dead_channels;
    constant += layer.constant_channels;
    retried += layer.damping_steps.size() > 1 ? 1 : 0;
  }
  const auto warn = [&](std::int64_t count, const char* text) {
    if (count == 0) return;
    report.warnings.push_back(fmt::format("{} {}", count, text));
    events.warning(report.warnings.back());
  };
  warn(deficient, "linears saw fewer calibration tokens than they have channels; use more samples");
  warn(dead, "input channels never fired; their weights were set to 0");
  warn(constant, "input channels were constant");
  warn(retried, "linears needed more damping than --percdamp");
}

void score_sets(RunReport& report, const std::vector<text::EvalSet>& sets, model::Model& model,
                const model::Placement& placement, bool compressed, Events& events) {
  const StageTimer timer(report.timings, compressed ? "eval_compressed" : "eval_dense");
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const std::string label = compressed ? "compressed" : "dense";
    auto figures = score(model, sets[i], placement, label, events);
    auto& target = compressed ? report.perplexity[i].compressed : report.perplexity[i].dense;
    target = std::move(figures);
  }
  model.release_ends();
}

std::vector<report::LayerReport> compress(const CompressRun& run, PreparedRun& prepared,
                                          const SavedTypes& types, WeightStore& store,
                                          RunReport& report, Events& events) {
  const StageTimer timer(report.timings, "compress");
  events.stage("compress", prepared.selected_linears);
  Session& session = *prepared.session;
  return compress_blocks({session.model, session.placement, prepared.calibration.windows,
                          run.compression, types, store, events, report.timings});
}

std::string report_bytes(const RunReport& report) { return to_json(report).dump(2) + "\n"; }

std::int64_t saved_bytes(const SavedTypes& types) {
  std::size_t bytes = 0;
  for (const io::TensorInfo& info : types.tensors()) bytes += info.bytes();
  return static_cast<std::int64_t>(bytes);
}

/// Runs the blocks into the store and fills in what the report says of them.
void compress_into(WeightStore& store, const CompressRun& run, PreparedRun& prepared,
                   const SavedTypes& types, RunReport& report, Events& events) {
  report.layers = compress(run, prepared, types, store, report, events);
  report.totals = report::sum_layers(report.layers, saved_bytes(types));
  warn_of_layers(report, events);
}

void compress_and_save(const CompressRun& run, PreparedRun& prepared, RunReport& report,
                       std::future<std::string>& sha256, Events& events) {
  const SavedTypes types(prepared.session->checkpoint);
  const model::Placement placement = prepared.session->placement;
  {
    FolderStore store(run.save_dir, prepared.session->checkpoint, types);
    compress_into(store, run, prepared, types, report, events);
    report.model.sha256 = sha256.get();
    const StageTimer timer(report.timings, "save");
    store.finish(report_bytes(report));
  }
  const io::Checkpoint saved = io::open_checkpoint(io::locate_model(run.save_dir));
  model::Model model(saved);
  score_sets(report, prepared.eval_sets, model, placement, true, events);
}

void compress_in_memory(const CompressRun& run, PreparedRun& prepared, RunReport& report,
                        std::future<std::string>& sha256, Events& events) {
  const SavedTypes types(prepared.session->checkpoint);
  MemoryStore store(types);
  compress_into(store, run, prepared, types, report, events);
  report.model.sha256 = sha256.get();
  model::Model model(prepared.session->model.spec(), store);
  score_sets(report, prepared.eval_sets, model, prepared.session->placement, true, events);
}

/// Hashes the weight files beside the other work; the result is needed only for the report.
std::future<std::string> start_hash(const io::ModelLocation& location) {
  return std::async(std::launch::async, [location] { return weight_files_sha256(location); });
}

/// Everything from opening the model to the perplexity of the compressed one.
void prepare_and_compress(const CompressRun& run, RunReport& report, Events& events) {
  report.method = method_name(run.compression.method);
  PreparedRun prepared;
  {
    const StageTimer timer(report.timings, "prepare");
    prepared = prepare_compress(run, events);
  }
  Session& session = *prepared.session;
  std::future<std::string> sha256 = start_hash(session.checkpoint.location);
  report.model = describe_model(session);
  report.calibration = describe_calibration(prepared.calibration, run.calibration.seed);
  for (const text::EvalSet& set : prepared.eval_sets) {
    report.perplexity.push_back(describe(set, session.placement.dtype));
  }
  score_sets(report, prepared.eval_sets, session.model, session.placement, false, events);
  if (run.save_dir.empty()) {
    compress_in_memory(run, prepared, report, sha256, events);
  } else {
    compress_and_save(run, prepared, report, sha256, events);
  }
}

/// Whether `compress --save` wrote the folder.
bool is_saved_run(const io::ModelLocation& location) {
  return !location.is_gguf && std::filesystem::exists(location.path / FolderStore::kReportFile);
}

void open_and_score(const EvalRun& run, RunReport& report, Events& events) {
  run.validate();
  Session session(run.model);
  std::future<std::string> sha256 = start_hash(session.checkpoint.location);
  report.model = describe_model(session);
  const bool recorded = std::all_of(run.eval.sets.begin(), run.eval.sets.end(), is_recorded);
  const std::unique_ptr<text::Tokenizer> tokenizer =
      recorded ? nullptr : load_tokenizer_of(session.checkpoint);
  const std::vector<text::EvalSet> sets = load_eval_sets(run.eval, session, tokenizer.get());
  for (const text::EvalSet& set : sets) {
    report.perplexity.push_back(describe(set, session.placement.dtype));
  }
  const bool compressed = is_saved_run(session.checkpoint.location);
  report.method = compressed ? "compressed" : "dense";
  score_sets(report, sets, session.model, session.placement, compressed, events);
  report.model.sha256 = sha256.get();
}

}  // namespace

RunReport run_compress(const CompressRun& run, Events& events, RunReport report) {
  {
    const StageTimer total(report.timings, "total");
    prepare_and_compress(run, report, events);
  }
  report.peak_host_bytes = peak_host_bytes();
  if (!run.save_dir.empty()) {
    io::write_file_atomic(std::filesystem::path(run.save_dir) / FolderStore::kReportFile,
                          report_bytes(report));
  }
  return report;
}

RunReport run_eval(const EvalRun& run, Events& events, RunReport report) {
  {
    const StageTimer total(report.timings, "total");
    open_and_score(run, report, events);
  }
  report.peak_host_bytes = peak_host_bytes();
  return report;
}

}  // namespace sgpt_mi::pipeline
