#include "sgpt_mi/pipeline/run.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "evaluate.h"
#include "format_fit.h"
#include "plan.h"
#include "rank_plan.h"
#include "resume.h"
#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/formats/gguf_size.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/io/json_file.h"
#include "sgpt_mi/io/output.h"
#include "sgpt_mi/memory/memory_limits.h"
#include "sgpt_mi/pages/pictures.h"
#include "sgpt_mi/pages/record.h"
#include "sgpt_mi/planning/linear_choice.h"
#include "sgpt_mi/planning/rd_measure.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sgpt_mi/ranks/broadcast_source.h"
#include "sgpt_mi/ranks/messages.h"
#include "sgpt_mi/report/statistics.h"
#include "sgpt_mi/session/session.h"
#include "sgpt_mi/walk/stage_clock.h"
#include "targets.h"
#include "workbench.h"

namespace sgpt_mi::pipeline {
namespace {

using report::RunReport;

report::CalibrationReport describe_calibration(const text::CalibrationSet& set, std::uint64_t seed,
                                               torch::ScalarType dtype) {
  return {set.dataset, set.windows.windows,  set.windows.seqlen,
          seed,        set.windows.sha256(), session::scalar_type_name(dtype)};
}

/// What the user should know of the compressed layers taken together.
void warn_of_layers(RunReport& report, report::Events& events) {
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

/// Says how far a rule without a budget ended from its target.
void warn_of_target(RunReport& report, const compress::CompressionSettings& settings,
                    report::Events& events) {
  if (!settings.widths || settings.widths->allocation != widths::BitAllocation::kThreshold) return;
  const double target = settings.widths->target.average_bits;
  const double actual = report.totals->average_code_bits;
  if (actual <= target && target - actual < 0.5) return;
  report.warnings.push_back(fmt::format(
      "the fixed thresholds gave {:.3f} bits a weight on average for a target of {:g}; "
      "{}",
      actual, target,
      settings.method == compress::Method::kToky ? "set others with --toky_thresholds"
                                                 : "--bit_allocation budget keeps to it"));
  events.warning(report.warnings.back());
}

/// One compression: what is asked for, what it starts from and where its results go.
struct Job {
  const CompressRun& run;
  PreparedRun& prepared;
  RunReport& report;
  report::Events& events;
  std::vector<compress::GroupPicture>* pictures;  ///< nullptr: not wanted
  const std::shared_future<std::string>& sha256;  ///< of the model's weight files
  journal::RunJournal* journal;                   ///< nullptr: none is kept
};

/// The block types that were fixed when a file was measured: of those matrices it knows no other.
nlohmann::json types_key(const compress::CompressionSettings& settings) {
  if (!settings.types) return nullptr;
  nlohmann::json fixed = nlohmann::json::array();
  for (const auto& [name, type] : settings.types->by_name) {
    fixed.push_back(fmt::format("{}={}", name, type->name));
  }
  if (settings.types->standard != nullptr) fixed.push_back(settings.types->standard->name);
  if (settings.types->needs_zero) fixed.push_back("zero");
  return fixed;
}

/// What a file of measurements depends on; nothing without one.
nlohmann::json measurement_key(const compress::CompressionSettings& settings,
                               const PreparedRun& prepared,
                               const std::shared_future<std::string>& sha256) {
  if (!settings.plan || settings.plan->measurements.empty()) return nlohmann::json::object();
  const widths::GroupingOptions& grouping = settings.plan->widths.grouping;
  const walk::LayerSelection& selection = settings.selection;
  const text::TokenWindows& windows = prepared.calibration.windows;
  return {{"model_sha256", sha256.get()},
          {"token_sha256", windows.sha256()},
          {"plan_windows", planning::split_windows(windows.windows, *settings.plan).measured},
          {"sensitivity", planning::sensitivity_name(settings.plan->sensitivity)},
          {"levels", settings.plan->widths.levels},
          {"percdamp", settings.matrix.percdamp},
          {"sym", settings.matrix.symmetric},
          {"grids", {settings.matrix.groupsize, settings.grids.any_order ? "any order" : "runs"}},
          {"grouping", widths::grouping_name(grouping.grouping)},
          {"n_groups", grouping.groups},
          {"pattern", {settings.matrix.prune_n, settings.matrix.prune_m}},
          {"block_types", types_key(settings)},
          {"coding", settings.entropy ? "entropy" : "fixed"},
          {"linears",
           {selection.min_layer, selection.max_layer, selection.name_contains, selection.invert}}};
}

/// Refuses measurements of another run before any work is done.
void check_measurements(const CompressRun& run, const PreparedRun& prepared,
                        const std::shared_future<std::string>& sha256) {
  if (!run.compression.plan) return;
  const std::string& path = run.compression.plan->measurements;
  if (path.empty() || !std::filesystem::exists(path)) return;
  planning::require_match(planning::read_measurements(path),
                          measurement_key(run.compression, prepared, sha256), path);
}

compress::BlockResult compress(const Job& job, const formats::SavedTypes& types,
                               compress::CompressionSettings settings,
                               std::optional<double> stored_bits, formats::WeightStore& store) {
  const walk::StageTimer timer(job.report.timings, "compress");
  job.events.stage("compress", job.prepared.selected_linears);
  Session& session = job.prepared.session;
  settings.matrix.rows = session.rows_for(settings.matrix);
  settings.batch_windows = job.prepared.memory.batch_windows;
  compress::BlockRun run{session.model,
                         session.calibration(settings.channel_scaling.has_value()),
                         job.prepared.calibration.windows,
                         settings,
                         job.run.format.holds_codes,
                         stored_bits,
                         job.pictures != nullptr,
                         types,
                         store,
                         job.events,
                         job.report.timings,
                         measurement_key(settings, job.prepared, job.sha256),
                         job.prepared.memory.activations,
                         job.journal,
                         session.world};
  if (job.journal != nullptr && !job.run.save_dir.empty()) {
    // The disk may fill while the run is at work. How much of the model is written is not known.
    run.before_block = [&, bytes =
                               static_cast<double>(journal_bytes(session, settings))](double left) {
      formats::require_space(job.run.save_dir, static_cast<std::int64_t>(left * bytes));
    };
  }
  return compress::compress_blocks(run);
}

std::string report_bytes(const RunReport& report) { return io::json_text(to_json(report)); }

/// Says what the ranks have told each other while they compressed, and what was counted.
/// \param received  by this rank.
void tell_exchange(const Job& job, std::int64_t received) {
  const ranks::World& world = job.prepared.session.world;
  if (world.alone()) return;
  std::int64_t bytes = 0;
  for (int rank = 0; rank < world.size(); ++rank) {
    bytes += ranks::broadcast(world, nlohmann::json(received), rank).get<std::int64_t>();
  }
  const std::optional<std::int64_t> planned = planned_exchange(job.run, job.prepared);
  job.events.result(fmt::format("ranks      {} exchanged {} bytes while compressing{}",
                                world.size(), bytes,
                                planned ? fmt::format(" ({} planned)", *planned) : ""));
}

/// Runs the blocks into the store and fills in what the report says of them.
void compress_into(const Job& job, const formats::SavedTypes& types, formats::WeightStore& store) {
  const compress::CompressionSettings settings = with_types(job.run, job.prepared.session, types);
  const SizeBudget budget = size_budget(types, job.prepared.session.model, settings);
  const ranks::World& world = job.prepared.session.world;
  const std::int64_t before = world.received();
  compress::BlockResult result = compress(job, types, settings, budget.stored_bits, store);
  tell_exchange(job, world.received() - before);
  if (!world.leads()) return;
  if (job.pictures != nullptr) *job.pictures = std::move(result.pictures);
  RunReport& report = job.report;
  report.layers = std::move(result.layers);
  report.ends = std::move(result.ends);
  report.tuning = result.tuning;
  std::int64_t dense = static_cast<std::int64_t>(types.bytes());
  formats::GgufSize blocks;
  if (job.run.format.holds_codes) dense = budget.fixed.dense_bytes;
  if (job.run.format.holds_blocks) {
    blocks = formats::gguf_size(job.prepared.session.checkpoint, types, result.block_types);
    dense = blocks.dense;
  }
  const std::int64_t model = dense + blocks.blocks + result.packed.total();
  report.totals = report::sum_layers(report.layers, model);
  report.totals->bytes_by_part = formats::bytes_by_part(dense, result.packed);
  if (blocks.blocks > 0) report.totals->bytes_by_part["blocks"] = blocks.blocks;
  warn_of_layers(report, job.events);
  warn_of_target(report, job.run.compression, job.events);
}

/// Adds to the tensors' bytes what the headers of the weight files take.
void count_headers(report::TotalsReport& totals, std::int64_t file_bytes) {
  totals.bytes_by_part["headers"] = file_bytes - totals.bytes;
  totals.bytes = file_bytes;
  totals.predicted_file_bytes = file_bytes;
}

/// Compares what was predicted with what lies on disk.
void check_saved_size(RunReport& report, const std::string& place) {
  report.totals->written_file_bytes = formats::weight_file_bytes(formats::locate_model(place));
  if (report.totals->predicted_file_bytes != report.totals->written_file_bytes) {
    fail(ErrorKind::kInternal, "save: the weight files of {} have {} bytes where {} were predicted",
         place, *report.totals->written_file_bytes, *report.totals->predicted_file_bytes);
  }
}

/// Scores the compressed model; its config and tensors count on rank 0, which sends the others
/// dense matrices.
/// \param packed  of the tensors, where some lie packed.
void score_compressed(const Job& job, const nlohmann::json& config,
                      const containers::TensorSource& tensors,
                      const formats::CodeSource* packed = nullptr) {
  const PreparedRun& prepared = job.prepared;
  const ranks::World& world = prepared.session.world;
  const ranks::BroadcastSource source(world, tensors);
  model::Model model(model::parse_model_spec(ranks::broadcast(world, config, 0)), source,
                     world.alone() ? packed : nullptr);
  score_sets(job.report, prepared.eval_sets, model, prepared.session.placement,
             {true, prepared.dense_states, world}, job.events);
}

void compress_and_save(const Job& job) {
  const PreparedRun& prepared = job.prepared;
  const formats::SavedTypes types = saved_types(prepared.session, job.run.compression);
  {
    const std::unique_ptr<formats::SavingStore> store =
        job.run.format.open(job.run.save_dir, prepared.session.checkpoint, types);
    if (job.run.shard_bytes > 0) store->split_above(job.run.shard_bytes);
    compress_into(job, types, *store);
    const walk::StageTimer timer(job.report.timings, "save");
    store->finish([&](std::int64_t file_bytes) {
      count_headers(*job.report.totals, file_bytes);
      return report_bytes(job.report);
    });
  }
  check_saved_size(job.report, job.run.save_dir);
  const formats::Checkpoint saved =
      formats::open_checkpoint(formats::locate_model(job.run.save_dir), quant::torch_threads());
  score_compressed(job, saved.config, *saved.tensors, saved.codes);
}

void compress_in_memory(const Job& job) {
  const PreparedRun& prepared = job.prepared;
  const formats::SavedTypes types = saved_types(prepared.session, job.run.compression);
  formats::MemoryStore store(types);
  compress_into(job, types, store);
  score_compressed(job, prepared.session.checkpoint.config, store);
}

/// The dense figures of the evaluation sets, measured unless the bench has them.
void report_dense(RunReport& report, Workbench& bench, const CompressRun& run,
                  PreparedRun& prepared, journal::RunJournal* journal, report::Events& events) {
  const walk::StageTimer timer(report.timings, "eval_dense");
  const DenseEvaluation& dense = bench.dense_evaluation(
      run.eval, run.format.holds_blocks || run.compression.entropy, journal, events);
  for (std::size_t i = 0; i < dense.figures.size(); ++i) {
    report.perplexity[i].dense = dense.figures[i];
  }
  prepared.dense_states = &dense.states;
}

PreparedRun prepare(Workbench& bench, const CompressRun& run, RunReport& report,
                    report::Events& events) {
  const walk::StageTimer timer(report.timings, "prepare");
  return bench.prepare(run, events);
}

/// Reads what only scoring reads: a model with a final norm or head of NaN is refused before the
/// work.
void require_sound_head(Session& session) {
  session.model.read_head(session.placement);
  session.model.release_ends();
}

/// Everything from opening the model to the perplexity of the compressed one.
void prepare_and_compress(Workbench& bench, const CompressRun& run, RunReport& report,
                          report::Events& events, std::vector<compress::GroupPicture>* pictures,
                          journal::RunJournal* journal) {
  report.method = compress::method_name(run.compression.method);
  PreparedRun prepared = prepare(bench, run, report, events);
  Session& session = prepared.session;
  const std::shared_future<std::string> sha256 = bench.weights_sha256(run.model);
  report.model = describe_model(session);
  report.model.sha256 = sha256.get();
  check_measurements(run, prepared, sha256);
  report.warnings = session.checkpoint.notes;
  report.operations = counted_operations(run, prepared);
  report.planned_bytes = {memory::total_of(prepared.memory.host_peak().host),
                          memory::total_of(prepared.memory.device_peak().device)};
  report.calibration =
      describe_calibration(prepared.calibration, run.calibration.seed,
                           session.calibration(run.compression.channel_scaling.has_value()).dtype);
  report.warnings.insert(report.warnings.end(), prepared.calibration.warnings.begin(),
                         prepared.calibration.warnings.end());  // told with the plan
  for (const text::EvalSet& set : prepared.eval_sets) {
    report.perplexity.push_back(describe(set, session.placement.dtype));
  }
  require_same_run(session, report, run.settings);
  if (journal != nullptr) start_journal(*journal, run, report, events);
  report_dense(report, bench, run, prepared, journal, events);
  if (prepared.eval_sets.empty()) require_sound_head(session);
  const Job job{run, prepared, report, events, pictures, sha256, journal};
  if (run.save_dir.empty()) {
    compress_in_memory(job);
  } else {
    compress_and_save(job);
  }
}

/// The whole run; what is known of it is in `report` also when it fails.
void fill_report(Workbench& bench, const CompressRun& run, report::Events& events,
                 RunReport& report, std::vector<compress::GroupPicture>* pictures) {
  const std::unique_ptr<journal::RunJournal> journal = open_journal(run, report);
  try {
    const walk::StageTimer total(report.timings, "total");
    prepare_and_compress(bench, run, report, events, pictures, journal.get());
  } catch (const Error& error) {
    const auto kept = journal ? journal->progress() : std::nullopt;
    if (error.kind() != ErrorKind::kInterrupted || !kept) throw;
    throw Error(ErrorKind::kInterrupted, interrupted_text(*kept));
  }
  report.peak_bytes = {memory::peak_resident_bytes(), memory::peak_device_bytes()};
  if (!run.save_dir.empty() && !run.format.is_file) {
    io::write_file_atomic(std::filesystem::path(run.save_dir) / formats::SavingStore::kReportFile,
                          report_bytes(report));
  }
  if (journal) journal->remove();
}

}  // namespace

void plan_compress(const CompressRun& asked, report::Events& events) {
  asked.validate();
  CompressRun run = asked;
  run.model.assume_device = true;
  Workbench bench;
  const PreparedRun prepared = bench.prepare(run, events);
  if (run.compression.plan) tell_targets(run, prepared.session, events);
  // The hash reads the whole model; only a file of measurements is compared with it.
  if (run.compression.plan && !run.compression.plan->measurements.empty()) {
    check_measurements(run, prepared, bench.weights_sha256(run.model));
  }
}

namespace {

/// What a rank does of a run: the first one writes.
CompressRun of_rank(const CompressRun& run) {
  CompressRun mine = run;
  if (run.model.world.leads()) return mine;
  for (std::string* place : {&mine.save_dir, &mine.journal, &mine.plots_dir, &mine.record_file}) {
    place->clear();
  }
  return mine;
}

}  // namespace

RunReport run_compress(const CompressRun& asked, report::Events& events, RunReport report) {
  const CompressRun run = of_rank(asked);
  Workbench bench;
  std::vector<compress::GroupPicture> pictures;
  const bool draws = !asked.plots_dir.empty();  // of every rank's linears
  pages::record_run(run.record_file, run.journal, report, events, [&](report::Events& told) {
    fill_report(bench, run, told, report, draws ? &pictures : nullptr);
  });
  if (!run.plots_dir.empty()) {
    pages::write_document(
        run.plots_dir, "performance_report",
        report::run_document(report, pages::draw_pictures(pictures, report.layers)));
  }
  return report;
}

RunReport run_compress(Workbench& bench, const CompressRun& run, report::Events& events,
                       RunReport report, std::vector<compress::GroupPicture>* pictures) {
  fill_report(bench, run, events, report, pictures);
  return report;
}

}  // namespace sgpt_mi::pipeline
