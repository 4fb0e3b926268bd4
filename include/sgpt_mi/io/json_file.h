#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace sgpt_mi::io {

/// The JSON object in a small file (config.json, an index).
/// Throws Error(kInput) naming the file when it is missing, empty, not JSON or not an object.
[[nodiscard]] nlohmann::json read_json_object(const std::filesystem::path& path);

}  // namespace sgpt_mi::io
