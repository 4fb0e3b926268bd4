#include "cells.h"

#include <spdlog/fmt/fmt.h>

#include "mean_error.h"
#include "sgpt_mi/core/byte_size.h"

namespace sgpt_mi::report {

namespace {

int perplexity_decimals(double ppl) { return ppl < 100.0 ? 3 : ppl < 1000.0 ? 2 : 1; }

std::string with_error(double ppl, double error) {
  const int decimals = perplexity_decimals(ppl);
  return fmt::format("{:.{}f} ± {:.{}f}", ppl, decimals, error, decimals);
}

}  // namespace

std::string perplexity_cell(const std::optional<PerplexityFigures>& figures) {
  return figures ? with_error(figures->ppl, figures->ppl_stderr) : "-";
}

std::string kl_cell(const std::optional<PerplexityFigures>& figures) {
  if (!figures || !figures->kl_mean) return "-";
  if (!figures->kl_stderr) return fmt::format("{:.4f}", *figures->kl_mean);
  return fmt::format("{:.4f} ± {:.4f}", *figures->kl_mean, *figures->kl_stderr);
}

std::string top1_cell(const std::optional<PerplexityFigures>& figures) {
  if (!figures || !figures->top1_agreement) return "-";
  return percent_cell(*figures->top1_agreement, 1.0);
}

std::string number_cell(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "-";
}

std::string general_cell(const std::optional<double>& value) {
  return value ? fmt::format("{:.3g}", *value) : "-";
}

std::string mean_error_cell(std::span<const double> perplexities) {
  if (perplexities.empty()) return "-";
  const MeanError mean = mean_error(perplexities);
  if (mean.count > 1) return with_error(mean.mean, mean.standard_error);
  return fmt::format("{:.{}f}", mean.mean, perplexity_decimals(mean.mean));
}

std::string percent_cell(double part, double whole) {
  return whole == 0.0 ? "-" : fmt::format("{:.2f} %", 100.0 * part / whole);
}

void append_totals(std::vector<std::string>& row, const RunSummary& summary) {
  row.insert(row.end(), {fmt::format("{:.4f}", summary.sparsity),
                         fmt::format("{:.3f}", summary.average_code_bits),
                         fmt::format("{:.3f}", summary.stored_bits_per_weight),
                         human_bytes(summary.bytes), fmt::format("{:.1f}", summary.seconds)});
}

std::string p_value_cell(double p_value) {
  return p_value < 1e-4 ? "< 0.0001" : fmt::format("{:.4f}", p_value);
}

}  // namespace sgpt_mi::report
