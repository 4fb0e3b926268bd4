#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cells.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/report/document.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::report {
namespace {

using Row = std::vector<std::string>;
using Figures = std::optional<PerplexityFigures>;

bool has_kl(const PerplexityReport& set) { return set.compressed && set.compressed->kl_mean; }

bool has_top1(const PerplexityReport& set) {
  return set.compressed && set.compressed->top1_agreement;
}

void append_headings(Row& row, const RunReport& report) {
  for (const PerplexityReport& set : report.perplexity) {
    const std::string name = printable(set.set);
    row.push_back(name + " PPL");
    if (has_kl(set)) row.push_back(name + " KL");
    if (has_top1(set)) row.push_back(name + " top-1");
  }
}

void append_figures(Row& row, const RunReport& report, Figures PerplexityReport::*model) {
  for (const PerplexityReport& set : report.perplexity) {
    const Figures& figures = set.*model;
    row.push_back(perplexity_cell(figures));
    if (has_kl(set)) row.push_back(kl_cell(figures));
    if (has_top1(set)) row.push_back(top1_cell(figures));
  }
}

bool has_figures(const RunReport& report, Figures PerplexityReport::*model) {
  return std::any_of(report.perplexity.begin(), report.perplexity.end(),
                     [model](const PerplexityReport& set) { return (set.*model).has_value(); });
}

Row model_row(const std::string& name, std::int64_t bytes) {
  return {name, "-", "-", "-", human_bytes(bytes)};
}

Row compressed_row(const RunReport& report, const TotalsReport& totals) {
  return {report.method, fmt::format("{:.4f}", totals.sparsity),
          fmt::format("{:.2f}", totals.average_code_bits),
          fmt::format("{:.2f}", totals.stored_bits_per_weight), human_bytes(totals.bytes)};
}

}  // namespace

std::vector<Row> result_rows(const RunReport& report) {
  std::vector<Row> rows{{"model", "sparsity", "code bits", "stored bits/w", "bytes"}};
  append_headings(rows.back(), report);
  if (has_figures(report, &PerplexityReport::dense)) {
    rows.push_back(model_row("dense", report.dense_bytes.value_or(report.model.bytes)));
    append_figures(rows.back(), report, &PerplexityReport::dense);
  }
  if (report.totals || has_figures(report, &PerplexityReport::compressed)) {
    rows.push_back(report.totals ? compressed_row(report, *report.totals)
                                 : model_row(report.method, report.model.bytes));
    append_figures(rows.back(), report, &PerplexityReport::compressed);
  }
  return rows;
}

std::string result_table(const RunReport& report) { return text_table(result_rows(report)); }

}  // namespace sgpt_mi::report
