#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/report/run_summary.h"

namespace sgpt_mi::report {

/// Cells of the tables: a figure as people read it, "-" where it was not measured. A perplexity has
/// 3, 2 or 1 decimals below 100, below 1000, above; its error has as many.

/// "27.656 ± 0.250".
[[nodiscard]] std::string perplexity_cell(const std::optional<PerplexityFigures>& figures);

/// KL in nats a token: "0.1234 ± 0.0056"; without the error when it is absent.
[[nodiscard]] std::string kl_cell(const std::optional<PerplexityFigures>& figures);

/// "91.24 %".
[[nodiscard]] std::string top1_cell(const std::optional<PerplexityFigures>& figures);

/// The number with so many decimals, or "-".
[[nodiscard]] std::string number_cell(const std::optional<double>& value, int decimals);

/// The number with three significant digits and an exponent where it needs one, or "-".
[[nodiscard]] std::string general_cell(const std::optional<double>& value);

/// Mean of perplexities ± its standard error over them; without the error for one; "-" for none.
[[nodiscard]] std::string mean_error_cell(std::span<const double> perplexities);

/// part / whole in percent with two decimals: "93.28 %"; "-" when whole is 0.
[[nodiscard]] std::string percent_cell(double part, double whole);

/// Appends sparsity, code bits, stored bits a weight, bytes and seconds.
void append_totals(std::vector<std::string>& row, const RunSummary& summary);

/// p-value: "0.0123", or "< 0.0001".
[[nodiscard]] std::string p_value_cell(double p_value);

/// A JSON value as people read it: strings without quotes, lists with commas, the rest as JSON.
[[nodiscard]] inline std::string setting_text(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const auto& item : value) text += (text.empty() ? "" : ", ") + setting_text(item);
  return text;
}

/// Two columns, headings first: program, model and calibration of a report, then its settings.
template <typename Report>
std::vector<std::vector<std::string>> setup_table(const Report& report) {
  std::vector<std::vector<std::string>> rows{{"setting", "value"},
                                             {"program", "sgpt-mi " + report.version},
                                             {"model", report.model},
                                             {"calibration", report.dataset}};
  for (const auto& [key, value] : report.settings.items()) {
    rows.push_back({key, setting_text(value)});
  }
  return rows;
}

}  // namespace sgpt_mi::report
