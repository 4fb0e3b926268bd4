#include <spdlog/fmt/fmt.h>

#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/report/text_table.h"

namespace sgpt_mi::report {
namespace {

using Row = std::vector<std::string>;

std::string perplexity_cell(const std::optional<PerplexityFigures>& figures) {
  if (!figures) return "-";
  // Four significant digits or so, whatever the magnitude; the error with the same decimals.
  const int decimals = figures->ppl < 100.0 ? 3 : figures->ppl < 1000.0 ? 2 : 1;
  return fmt::format("{:.{}f} ± {:.{}f}", figures->ppl, decimals, figures->ppl_stderr, decimals);
}

void append_perplexities(Row& row, const RunReport& report, bool compressed) {
  for (const PerplexityReport& set : report.perplexity) {
    row.push_back(perplexity_cell(compressed ? set.compressed : set.dense));
  }
}

bool has_figures(const RunReport& report, bool compressed) {
  for (const PerplexityReport& set : report.perplexity) {
    if ((compressed ? set.compressed : set.dense).has_value()) return true;
  }
  return false;
}

Row model_row(const RunReport& report, const std::string& name) {
  return {name, "-", "-", "-", human_bytes(report.model.bytes)};
}

Row compressed_row(const RunReport& report, const TotalsReport& totals) {
  return {report.method, fmt::format("{:.4f}", totals.sparsity),
          fmt::format("{:.2f}", totals.average_code_bits),
          fmt::format("{:.2f}", totals.stored_bits_per_weight), human_bytes(totals.bytes)};
}

}  // namespace

std::string result_table(const RunReport& report) {
  std::vector<Row> rows;
  Row header{"model", "sparsity", "code bits", "stored bits/w", "bytes"};
  for (const PerplexityReport& set : report.perplexity) header.push_back(set.set + " PPL");
  rows.push_back(std::move(header));
  if (has_figures(report, false)) {
    rows.push_back(model_row(report, "dense"));
    append_perplexities(rows.back(), report, false);
  }
  if (report.totals || has_figures(report, true)) {
    rows.push_back(report.totals ? compressed_row(report, *report.totals)
                                 : model_row(report, report.method));
    append_perplexities(rows.back(), report, true);
  }
  return text_table(rows);
}

}  // namespace sgpt_mi::report
