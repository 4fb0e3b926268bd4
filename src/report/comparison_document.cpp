#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <optional>

#include "cells.h"
#include "mean_error.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/report/comparison.h"

namespace sgpt_mi::report {
namespace {

using Row = std::vector<std::string>;
using Rows = std::vector<Row>;
using Figures = std::optional<PerplexityFigures>;

constexpr const char* kResultNote =
    "PPL: exp of the mean NLL, ± its standard error over windows (delta method). KL: "
    "KL(dense || compressed) in nats a token. Stored bits count everything in the saved file. "
    "Seconds: calibration and compression, without evaluation.";
constexpr const char* kPairedNote =
    "Difference to the baseline in nats a token, negative is better, ± its standard error, tested "
    "by a two-sided paired Student t-test. Over windows: means over seeds, paired by window, taken "
    "as independent. Over seeds: means over windows, paired by seed. p-values are not adjusted for "
    "the number of tests.";

/// Which optional columns the tables have.
struct Columns {
  bool seed = false;
  bool kl = false;
  bool top1 = false;
};

Columns columns_of(const ComparisonReport& report) {
  Columns columns;
  for (const ComparisonRow& row : report.rows) {
    columns.seed = columns.seed || row.seed != report.rows.front().seed;
    for (const PerplexityReport& set : row.summary.perplexity) {
      columns.kl = columns.kl || (set.compressed && set.compressed->kl_mean);
      columns.top1 = columns.top1 || (set.compressed && set.compressed->top1_agreement);
    }
  }
  return columns;
}

void append_figures(Row& row, const Figures& figures, const Columns& columns) {
  row.push_back(perplexity_cell(figures));
  if (columns.kl) row.push_back(kl_cell(figures));
  if (columns.top1) row.push_back(top1_cell(figures));
}

Row headings(const ComparisonReport& report, const Columns& columns) {
  Row row{"method"};
  if (columns.seed) row.push_back("seed");
  row.insert(row.end(), {"sparsity", "code bits", "stored bits/w", "bytes", "seconds"});
  for (const PerplexityReport& set : report.sets) {
    const std::string name = printable(set.set);
    row.push_back(name + " PPL");
    if (columns.kl) row.push_back(name + " KL");
    if (columns.top1) row.push_back(name + " top-1");
  }
  return row;
}

Row dense_row(const ComparisonReport& report, const Columns& columns) {
  Row row{"dense"};
  if (columns.seed) row.push_back("-");
  row.insert(row.end(), {"-", "-", "-", human_bytes(report.dense_bytes), "-"});
  for (const PerplexityReport& set : report.sets) append_figures(row, set.dense, columns);
  return row;
}

Row compressed_row(const ComparisonReport& report, const ComparisonRow& compressed,
                   const Columns& columns) {
  const RunSummary& summary = compressed.summary;
  Row row{row_label(compressed)};
  if (columns.seed) row.push_back(std::to_string(compressed.seed));
  append_totals(row, summary);
  for (const PerplexityReport& set : report.sets) {
    append_figures(row, figures_of(summary, set.set), columns);
  }
  return row;
}

/// The perplexities of a label on a set, one a seed.
std::vector<double> seed_perplexities(const ComparisonReport& report, const std::string& label,
                                      const std::string& set) {
  std::vector<double> values;
  for (const ComparisonRow& row : report.rows) {
    const Figures figures = figures_of(row.summary, set);
    if (row_label(row) == label && figures) values.push_back(figures->ppl);
  }
  return values;
}

Rows seed_rows(const ComparisonReport& report) {
  Rows rows{{"method", "seeds"}};
  for (const PerplexityReport& set : report.sets) {
    rows.front().push_back(printable(set.set) + " PPL");
  }
  std::map<std::string, std::size_t> seeds;
  for (const ComparisonRow& row : report.rows) ++seeds[row_label(row)];
  for (const ComparisonRow& first : report.rows) {
    const auto count = seeds.extract(row_label(first));
    if (count.empty()) continue;  // the label has its row
    Row row{count.key(), std::to_string(count.mapped())};
    for (const PerplexityReport& set : report.sets) {
      row.push_back(mean_error_cell(seed_perplexities(report, count.key(), set.set)));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Section setup(const ComparisonReport& report) {
  Section section;
  section.title = "Setup";
  section.table = setup_table(report);
  for (const PerplexityReport& set : report.sets) {
    section.table.push_back({"evaluation " + printable(set.set),
                             fmt::format("{}: {} windows of {} tokens, {}", set.protocol,
                                         set.windows, set.seqlen, set.dtype)});
  }
  return section;
}

std::vector<Section> tables(const ComparisonReport& report) {
  std::vector<Section> sections{{"Result", {kResultNote}, comparison_rows(report), {}}};
  if (columns_of(report).seed) {
    sections.push_back({"Over seeds",
                        {"Mean perplexity ± its standard error over seeds."},
                        seed_rows(report),
                        {}});
  }
  const std::vector<PairedDifference> differences = paired_differences(report);
  if (!differences.empty()) {
    sections.push_back({"Paired differences", {kPairedNote}, paired_rows(differences), {}});
  }
  return sections;
}

}  // namespace

Rows comparison_rows(const ComparisonReport& report) {
  const Columns columns = columns_of(report);
  Rows rows{headings(report, columns), dense_row(report, columns)};
  for (const ComparisonRow& row : report.rows) {
    rows.push_back(compressed_row(report, row, columns));
  }
  return rows;
}

Rows paired_rows(const std::vector<PairedDifference>& differences) {
  Rows rows{{"method - baseline", "set", "quantity", "over", "pairs", "difference", "t", "p"}};
  for (const PairedDifference& difference : differences) {
    const PairedTest& test = difference.test;
    rows.push_back({difference.label + " - " + difference.baseline, printable(difference.set),
                    difference.quantity, difference.over, std::to_string(difference.pairs),
                    fmt::format("{:.4f} ± {:.4f}", test.mean_difference, test.standard_error),
                    fmt::format("{:.2f}", test.t), p_value_cell(test.p_value)});
  }
  return rows;
}

std::string comparison_text(const ComparisonReport& report) { return to_text(tables(report)); }

Document comparison_document(const ComparisonReport& report, std::vector<Picture> pictures) {
  Document document;
  document.title = fmt::format("Compression of {}", report.model);
  document.sections = tables(report);
  add_pictures(document, std::move(pictures));
  document.sections.push_back(setup(report));
  add_warnings(document, report.warnings);
  return document;
}

}  // namespace sgpt_mi::report
