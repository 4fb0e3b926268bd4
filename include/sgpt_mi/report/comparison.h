#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/report/document.h"
#include "sgpt_mi/report/paired_test.h"
#include "sgpt_mi/report/pareto.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/report/run_summary.h"

namespace sgpt_mi::report {

/// One compression of a comparison.
struct ComparisonRow {
  std::string method;
  std::string grouping;  ///< what the channels were grouped by; empty for methods without groups
  std::uint64_t seed = 0;
  RunSummary summary;
};

/// "rd", or "rd (mi)" with a grouping: the same for all seeds of one way to compress.
[[nodiscard]] std::string row_label(const ComparisonRow& row);

/// Several compressions of one model on one calibration set.
struct ComparisonReport {
  std::string version;
  std::string model;
  std::string dataset;                                                 ///< of the calibration
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();  ///< shared by all rows
  std::int64_t dense_bytes = 0;
  std::vector<PerplexityReport> sets;  ///< what was scored, with the dense model's figures
  std::vector<ComparisonRow> rows;     ///< the first row's label is the baseline
  std::vector<std::string> warnings;
};

/// A way to compress against the baseline on one set, in nats a token; negative is better.
struct PairedDifference {
  std::string label;
  std::string baseline;
  std::string set;
  std::string quantity;   ///< "NLL" or "KL"
  std::string over;       ///< what the pairs are: "windows" or "seeds"
  std::size_t pairs = 0;  ///< at least 2
  PairedTest test;        ///< of label minus baseline
};

/// Every label against the first row's, on every set, for NLL and, where both have it, KL:
///   * over windows: pairs of the windows' means over the seeds that both labels have;
///   * over seeds: pairs of the seeds' means over the windows.
/// A test with fewer than 2 pairs is left out. Throws Error(kInput) when two rows scored a set on
/// different numbers of windows.
[[nodiscard]] std::vector<PairedDifference> paired_differences(const ComparisonReport& report);

/// The comparison as cells, headings first: the dense model, then one row a compression.
[[nodiscard]] std::vector<std::vector<std::string>> comparison_rows(const ComparisonReport& report);

/// paired_differences() as cells, headings first.
[[nodiscard]] std::vector<std::vector<std::string>> paired_rows(
    const std::vector<PairedDifference>& differences);

/// Both tables for stdout, with what ± and the p-values mean. Ends with a newline.
[[nodiscard]] std::string comparison_text(const ComparisonReport& report);

/// The document behind performance_report.md and report.html: settings, the table, means over
/// seeds, paired differences, pictures, warnings.
[[nodiscard]] Document comparison_document(const ComparisonReport& report,
                                           std::vector<Picture> pictures);

/// One point a row that was scored on every set, for plots::tradeoff_png(). Rows of
/// several seeds carry the seed in their label.
[[nodiscard]] std::vector<TradeoffPoint> tradeoff_points(const ComparisonReport& report);

/// Everything, with the paired differences: comparison.json.
[[nodiscard]] nlohmann::ordered_json to_json(const ComparisonReport& report);

}  // namespace sgpt_mi::report
