#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sgpt_mi/flags/settings.h"

namespace sgpt_mi::flags {

/// The field of Settings that a flag sets.
using FlagTarget =
    std::variant<bool Settings::*, int Settings::*, std::int64_t Settings::*,
                 std::uint64_t Settings::*, double Settings::*, std::string Settings::*>;

/// Subcommands as bits, so that a row can name several.
enum Command : unsigned {
  kCompress = 1U,
  kPlan = 2U,
  kEval = 4U,
  kInspect = 8U,
  kTokenize = 16U,
  kSweep = 32U,
  kCompare = 64U,
  kExport = 128U,
  kCompletion = 256U
};

/// A flag is one row: parser, help, manual page, completion, --config keys, --print-config and
/// configs/default.json all follow from it.
struct FlagRow {
  const char* key;  ///< "act_order": --act_order, --act-order, and the JSON key
  FlagTarget target;
  /// What the help shows as the value; "" for switches. Words between '|' are choices as they are
  /// typed ("auto"), or in capitals a kind of value ("N", "FILE", "cuda:N").
  const char* value;
  const char* group;    ///< heading in the help
  unsigned commands;    ///< of enum Command
  bool in_config;       ///< whether --config may set it
  const char* help;     ///< one sentence with unit and special values
  bool common = false;  ///< whether --help shows it, or only --help-all
};

/// All flags, in the order of the help.
[[nodiscard]] const std::vector<FlagRow>& flag_table();

/// The flags of one subcommand.
[[nodiscard]] std::vector<const FlagRow*> flags_of(unsigned command);

/// How a flag is typed: {"--seed"}, {"-o", "--output"}.
[[nodiscard]] std::vector<std::string> flag_names(const FlagRow& row);

/// The value of a flag as JSON.
[[nodiscard]] nlohmann::ordered_json flag_value(const Settings& settings, const FlagRow& row);

/// Sets a flag from JSON. Throws Error(kUsage) naming the key and the type that was expected.
void set_flag(Settings& settings, const FlagRow& row, const nlohmann::json& value);

/// The known name nearest to `name` by edit distance, for "did you mean". Empty when none is near.
[[nodiscard]] std::string nearest_name(std::string_view name,
                                       const std::vector<std::string>& known);

}  // namespace sgpt_mi::flags
