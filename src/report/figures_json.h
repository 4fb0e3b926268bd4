#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::report {

/// The number, or null.
[[nodiscard]] nlohmann::ordered_json optional_json(const std::optional<double>& value);

/// Object of set name -> the set's protocol and figures, in the order given.
[[nodiscard]] nlohmann::ordered_json perplexity_json(const std::vector<PerplexityReport>& sets);

/// What perplexity_json() wrote. Throws nlohmann::json::exception when a key is missing or has
/// another type.
[[nodiscard]] std::vector<PerplexityReport> perplexity_from_json(
    const nlohmann::ordered_json& json);

}  // namespace sgpt_mi::report
