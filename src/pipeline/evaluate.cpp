#include "evaluate.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/eval/perplexity.h"

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
  report.dtype = scalar_type_name(dtype);
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
  const eval::PerplexityResult result = eval::perplexity(model, set.windows, options);
  events.result(fmt::format("{} {} perplexity {:.4f} ± {:.4f}{} ({} windows of {})", label,
                            set.name, result.ppl, result.ppl_stderr,
                            describe_divergence(result.divergence), result.windows, result.seqlen));
  return figures_of(result);
}

}  // namespace sgpt_mi::pipeline
