#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/flags/settings.h"

namespace sgpt_mi::flags {

/// What the command line asks for: settings to act on, or a text to print and stop.
struct ParsedArguments {
  ResolvedSettings settings;
  std::optional<std::string> text;  ///< --help, --version, --man, completion
};

/// Parses the arguments after the program's name: precedence default < environment < --config file
/// < flag; '-' and '_' are the same inside a flag's name.
/// Throws Error(kUsage): no or unknown subcommand, unknown flag or key (with the nearest name), a
/// value that does not parse as a whole, a missing MODEL or DATASET.
/// Throws Error(kInput) when the --config file cannot be read.
[[nodiscard]] ParsedArguments parse_arguments(const std::vector<std::string>& arguments);

/// The resolved values of the subcommand's flags as JSON: {key: value}.
[[nodiscard]] nlohmann::ordered_json config_values(const ResolvedSettings& settings);

/// The same with the origin of each: {key: {"value": ..., "from": "flag"}}.
[[nodiscard]] nlohmann::ordered_json config_with_origins(const ResolvedSettings& settings);

}  // namespace sgpt_mi::flags
