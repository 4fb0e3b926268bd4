#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sgpt_mi::report {

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
