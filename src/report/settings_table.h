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

/// Two columns, headings first: the keys of an object and their values.
[[nodiscard]] inline std::vector<std::vector<std::string>> settings_table(
    const nlohmann::ordered_json& settings) {
  std::vector<std::vector<std::string>> rows{{"setting", "value"}};
  for (const auto& [key, value] : settings.items()) rows.push_back({key, setting_text(value)});
  return rows;
}

}  // namespace sgpt_mi::report
