#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sgpt_mi::model {

/// The members of a published model's config.json that say its shape, or nothing for an unknown
/// name.
[[nodiscard]] std::optional<nlohmann::json> published_config(const std::string& name);

/// All names that published_config knows.
[[nodiscard]] std::vector<std::string> published_names();

}  // namespace sgpt_mi::model
