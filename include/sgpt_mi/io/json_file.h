#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace sgpt_mi::io {

/// The JSON object in a small file (config.json, an index).
/// Throws Error(kInput) naming the file when it is missing, empty, not JSON or not an object.
[[nodiscard]] nlohmann::json read_json_object(const std::filesystem::path& path);

/// A report's text, indented. Bytes of paths and names that are no UTF-8 are given as U+FFFD.
template <typename Json>
[[nodiscard]] std::string json_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sgpt_mi::io
