#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/report/document.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::report {

/// The statistics summary of a compression, as sections for to_text(), to_markdown() or to_html():
///   * averages: sparsity, code and stored bits a weight, bytes by part, predicted and written
///   bytes;
///   * channels per width over all linears, with percentages (of input channels, not of weights);
///   * grouping: groups a linear and silhouettes, as min, mean, max over the grouped linears;
///   * one row a linear: bits, sparsity, groups, silhouette, importance range, loss, output error.
/// A section whose figures the run did not record is left out.
[[nodiscard]] std::vector<Section> statistics(const RunReport& report);

/// to_text() of statistics(). Ends with a newline; empty for a run that compressed nothing.
[[nodiscard]] std::string statistics_text(const RunReport& report);

/// A document of one run: its settings, the result table, the pictures, the statistics, warnings.
[[nodiscard]] Document run_document(const RunReport& report, std::vector<Picture> pictures);

}  // namespace sgpt_mi::report
