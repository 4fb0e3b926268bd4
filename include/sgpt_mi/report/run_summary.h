#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::report {

/// The figures of one compression that comparisons and sweeps show side by side.
struct RunSummary {
  std::string method;
  double sparsity = 0.0;                ///< share of exact zeros in the compressed linears
  double average_code_bits = 0.0;       ///< bits a weight
  double stored_bits_per_weight = 0.0;  ///< with scales, masks and the rest of the file format
  std::int64_t bytes = 0;               ///< tensor data of the whole saved model
  double seconds = 0.0;                 ///< the stage "compress"
  std::vector<PerplexityReport> perplexity;
};

/// The compressed model's figures on the evaluation set of this name, if there are any.
[[nodiscard]] std::optional<PerplexityFigures> figures_of(const RunSummary& summary,
                                                          const std::string& set);

/// The quality of a compressed model over all its evaluation sets, each with the same weight.
struct MeanFigures {
  double ppl = 0.0;         ///< exp(mean of the sets' nll_mean): their geometric mean perplexity
  double ppl_stderr = 0.0;  ///< ppl * sqrt(sum of nll_stderr^2) / sets: the sets are independent
  std::optional<double> kl_mean;  ///< nats a token; absent unless every set has it
};

/// Absent when a set has no compressed figures, or there is no set.
[[nodiscard]] std::optional<MeanFigures> mean_over_sets(const RunSummary& summary);

/// The summary of a finished run. Throws Error(kInternal) when the run compressed nothing.
[[nodiscard]] RunSummary summarize(const RunReport& report);

/// The summary as an object with those keys of --report that summary_from_json() reads.
[[nodiscard]] nlohmann::ordered_json to_json(const RunSummary& summary);

/// The summary of a stored --report, or of to_json(). `where` names the file in errors.
/// Throws Error(kInput) when a key is missing or has another type.
[[nodiscard]] RunSummary summary_from_json(const nlohmann::ordered_json& json,
                                           const std::string& where);

}  // namespace sgpt_mi::report
