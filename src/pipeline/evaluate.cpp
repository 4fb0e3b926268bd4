#include "evaluate.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <optional>
#include <set>
#include <utility>

#include "resume.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/eval/perplexity.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/inspect/packed_totals.h"
#include "sgpt_mi/memory/memory_limits.h"
#include "sgpt_mi/pipeline/run.h"
#include "sgpt_mi/walk/stage_clock.h"
#include "workbench.h"

namespace sgpt_mi::pipeline {
namespace {

report::PerplexityFigures figures_of(const eval::PerplexityResult& result) {
  report::PerplexityFigures figures{result.ppl, result.nll_mean, result.nll_stderr,
                                    result.ppl_stderr, result.window_nll};
  if (result.divergence) {
    figures.kl_mean = result.divergence->kl_mean;
    figures.kl_stderr = result.divergence->kl_stderr;
    figures.top1_agreement = result.divergence->top1_agreement;
    figures.window_kl = result.divergence->window_kl;
  }
  return figures;
}

std::string describe_divergence(const std::optional<eval::Divergence>& divergence) {
  if (!divergence) return "";
  return fmt::format(", KL {:.3g} ± {:.2g} nats, top-1 {:.2f} %", divergence->kl_mean,
                     divergence->kl_stderr, 100.0 * divergence->top1_agreement);
}

}  // namespace

bool is_recorded(const std::string& set) {
  return std::filesystem::path(set).extension() == ".safetensors";
}

void check_windows(const text::TokenWindows& windows, const model::ModelSpec& spec,
                   const std::string& what) {
  if (const std::int64_t longest = model::longest_window(spec); windows.seqlen > longest) {
    fail(ErrorKind::kUsage, "{}: windows of {} tokens are beyond the model's {} positions", what,
         windows.seqlen, longest);
  }
  const auto largest = std::max_element(windows.ids.begin(), windows.ids.end());
  if (largest != windows.ids.end() && *largest >= spec.vocab) {
    fail(ErrorKind::kInput,
         "{}: token id {} is outside the model's vocabulary of {}; the tokenizer's files do not "
         "belong to this model",
         what, *largest, spec.vocab);
  }
}

text::DataSettings data_settings(const EvalOptions& options) {
  return {options.data_dir, options.text_key};
}

std::vector<text::EvalSet> load_eval_sets(const EvalOptions& options, const Session& session,
                                          const tokenizer::Tokenizer* tokenizer) {
  const std::int64_t seqlen = session.resolve_seqlen(options.seqlen);
  std::vector<text::EvalSet> sets;
  std::set<std::string> names;
  for (const std::string& name : options.sets) {
    check_interrupt();
    sets.push_back(
        text::load_eval_set(name, data_settings(options), tokenizer, seqlen, options.max_windows));
    check_windows(sets.back().windows, session.model.spec(), name);
    if (!names.insert(sets.back().name).second) {
      fail(ErrorKind::kUsage, "eval: two sets are called '{}'; rename one file", sets.back().name);
    }
  }
  return sets;
}

report::PerplexityReport describe(const text::EvalSet& set, torch::ScalarType dtype) {
  report::PerplexityReport report;
  report.set = set.name;
  report.protocol = set.protocol;
  report.tokens = set.tokens;
  report.windows = set.windows.windows;
  report.seqlen = set.windows.seqlen;
  report.dtype = session::scalar_type_name(dtype);
  report.text_sha256 = set.text_sha256;
  report.token_sha256 = set.token_sha256;
  return report;
}

report::PerplexityFigures score(model::Model& model, const text::EvalSet& set,
                                const model::Placement& placement, const std::string& label,
                                report::Events& events, const StateExchange& states) {
  events.stage(fmt::format("{} perplexity, {}", label, set.name), model.spec().layers + 1);
  eval::PerplexityOptions options;
  options.placement = placement;
  options.progress = [&events](std::int64_t done, std::int64_t /*total*/) {
    events.progress(done);
  };
  options.keep = states.keep;
  options.keep_head = states.keep_head;
  options.reference = states.reference;
  options.world = states.world;
  const eval::PerplexityResult result = eval::perplexity(model, set.windows, options);
  events.result(fmt::format("{} {} perplexity {:.4f} ± {:.4f}{} ({} windows of {})", label,
                            set.name, result.ppl, result.ppl_stderr,
                            describe_divergence(result.divergence), result.windows, result.seqlen));
  return figures_of(result);
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

void score_sets(report::RunReport& report, const std::vector<text::EvalSet>& sets,
                model::Model& model, const model::Placement& placement, const Scored& scored,
                report::Events& events) {
  const walk::StageTimer timer(report.timings,
                               scored.compressed ? "eval_compressed" : "eval_dense");
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const std::string label = scored.compressed ? "compressed" : "dense";
    StateExchange exchange;
    exchange.world = scored.world;
    if (scored.dense_states != nullptr) exchange.reference = &scored.dense_states->at(i);
    auto figures = score(model, sets[i], placement, label, events, exchange);
    auto& target = scored.compressed ? report.perplexity[i].compressed : report.perplexity[i].dense;
    target = std::move(figures);
  }
  model.release_ends();
}

namespace {

/// Whether `compress --save` wrote the folder.
bool is_saved_run(const formats::ModelLocation& location) {
  return location.is_folder() &&
         std::filesystem::exists(location.path / formats::SavingStore::kReportFile);
}

/// Scores the dense model on the sets of the compressed one, for KL and the table's first row.
std::vector<eval::FinalStates> score_dense(const EvalRun& run,
                                           const std::vector<text::EvalSet>& sets,
                                           report::RunReport& report, report::Events& events) {
  const walk::StageTimer timer(report.timings, "eval_dense");
  ModelOptions options = run.model;
  options.model = run.dense_model;
  Session dense(options);
  session::tell_notes(dense.checkpoint, events);
  report.dense_bytes = dense.stored_bytes();
  std::vector<eval::FinalStates> states(sets.size());
  for (std::size_t i = 0; i < sets.size(); ++i) {
    check_windows(sets[i].windows, dense.model.spec(), run.dense_model);
    report.perplexity[i].dense =
        score(dense.model, sets[i], dense.placement, "dense", events,
              {.keep = &states[i], .keep_head = true, .world = dense.world});
  }
  return states;
}

void open_and_score(const EvalRun& run, report::RunReport& report, report::Events& events) {
  run.validate();
  Workbench bench;
  Session& session = bench.session(run.model);
  const std::shared_future<std::string> sha256 = bench.weights_sha256(run.model);
  report.model = describe_model(session);
  report.warnings = session.checkpoint.notes;
  session::tell_notes(session.checkpoint, events);
  const std::vector<text::EvalSet>& sets = bench.eval_sets(run.eval);
  for (const text::EvalSet& set : sets) {
    report.perplexity.push_back(describe(set, session.placement.dtype));
  }
  report.totals = inspect::packed_totals(session.checkpoint);
  const formats::ModelLocation& location = session.checkpoint.location;
  // Only the user knows whether a GGUF file is the compressed one of two.
  const bool compared = location.is_gguf && !run.dense_model.empty();
  const bool compressed = report.totals || is_saved_run(location) || compared;
  report.method = compressed ? "compressed" : "dense";
  report.model.sha256 = sha256.get();
  require_same_run(session, report, nullptr);
  std::vector<eval::FinalStates> dense_states;
  if (!run.dense_model.empty()) {
    if (!compressed) {
      fail(ErrorKind::kUsage, "eval: --dense needs a compressed MODEL, and {} is dense itself",
           run.model.model);
    }
    dense_states = score_dense(run, sets, report, events);
  }
  score_sets(report, sets, session.model, session.placement,
             {compressed, dense_states.empty() ? nullptr : &dense_states, session.world}, events);
}

}  // namespace

report::RunReport run_eval(const EvalRun& run, report::Events& events, report::RunReport report) {
  {
    const walk::StageTimer total(report.timings, "total");
    open_and_score(run, report, events);
  }
  report.peak_bytes = {memory::peak_resident_bytes(), memory::peak_device_bytes()};
  return report;
}

}  // namespace sgpt_mi::pipeline
