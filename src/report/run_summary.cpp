#include "sgpt_mi/report/run_summary.h"

#include <cmath>

#include "figures_json.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::report {

std::optional<PerplexityFigures> figures_of(const RunSummary& summary, const std::string& set) {
  for (const PerplexityReport& candidate : summary.perplexity) {
    if (candidate.set == set) return candidate.compressed;
  }
  return std::nullopt;
}

std::optional<MeanFigures> mean_over_sets(const RunSummary& summary) {
  if (summary.perplexity.empty()) return std::nullopt;
  const auto sets = static_cast<double>(summary.perplexity.size());
  double nll = 0.0;
  double variance = 0.0;
  std::optional<double> kl = 0.0;
  for (const PerplexityReport& set : summary.perplexity) {
    if (!set.compressed) return std::nullopt;
    nll += set.compressed->nll_mean / sets;
    variance += set.compressed->nll_stderr * set.compressed->nll_stderr / (sets * sets);
    if (kl && set.compressed->kl_mean) {
      *kl += *set.compressed->kl_mean / sets;
    } else {
      kl.reset();
    }
  }
  const double ppl = std::exp(nll);
  return MeanFigures{ppl, ppl * std::sqrt(variance), kl};
}

RunSummary summarize(const RunReport& report) {
  ensure(report.totals.has_value(), "report: a summary was asked of a run without totals");
  RunSummary summary;
  summary.method = report.method;
  summary.sparsity = report.totals->sparsity;
  summary.average_code_bits = report.totals->average_code_bits;
  summary.stored_bits_per_weight = report.totals->stored_bits_per_weight;
  summary.bytes = report.totals->bytes;
  const auto seconds = report.timings.find("compress");
  ensure(seconds != report.timings.end(), "report: the run has no timing of the stage 'compress'");
  summary.seconds = seconds->second;
  summary.perplexity = report.perplexity;
  return summary;
}

nlohmann::ordered_json to_json(const RunSummary& summary) {
  return {{"method", summary.method},
          {"totals",
           {{"sparsity", summary.sparsity},
            {"average_code_bits", summary.average_code_bits},
            {"stored_bits_per_weight", summary.stored_bits_per_weight},
            {"bytes", summary.bytes}}},
          {"timings", {{"compress", summary.seconds}}},
          {"perplexity", perplexity_json(summary.perplexity)}};
}

RunSummary summary_from_json(const nlohmann::ordered_json& json, const std::string& where) {
  try {
    RunSummary summary;
    json.at("method").get_to(summary.method);
    const auto& totals = json.at("totals");
    totals.at("sparsity").get_to(summary.sparsity);
    totals.at("average_code_bits").get_to(summary.average_code_bits);
    totals.at("stored_bits_per_weight").get_to(summary.stored_bits_per_weight);
    totals.at("bytes").get_to(summary.bytes);
    json.at("timings").at("compress").get_to(summary.seconds);
    summary.perplexity = perplexity_from_json(json.at("perplexity"));
    return summary;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::kInput,
         "report: {} is not a report of a compression ({}); expected what --report writes; remove "
         "the file, or run the compression again",
         where, error.what());
  }
}

}  // namespace sgpt_mi::report
