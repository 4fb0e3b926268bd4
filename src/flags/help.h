#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "command_table.h"

namespace sgpt_mi::flags {

/// What the program is, in one clause.
inline constexpr const char* kSummary =
    "prunes and quantizes OPT and LLaMA-family models in one pass";

/// A command that can be pasted into a shell, in the checkout after scripts/setup.
struct Example {
  const char* what;
  const char* command;
};

[[nodiscard]] const std::array<Example, 3>& examples();

/// Flags under one heading.
struct FlagGroup {
  std::string heading;
  std::vector<const FlagRow*> rows;
};

/// Flags by heading; both keep the order of the table.
[[nodiscard]] std::vector<FlagGroup> by_heading(const std::vector<const FlagRow*>& rows);

/// "MODEL DATASET", "MODEL [FILE]".
[[nodiscard]] std::string positional_synopsis(const CommandRow& command);

/// The default as it would be typed; empty for switches and for flags that are off without a value.
[[nodiscard]] std::string default_text(const FlagRow& row);

/// `sgpt-mi --help`: examples, then the subcommands.
[[nodiscard]] std::string general_help();

enum class HelpExtent : std::uint8_t { kCommon, kAll };

/// `sgpt-mi SUBCOMMAND --help` or `--help-all`: positionals, then flags by heading. A subcommand
/// with few flags shows them all either way.
[[nodiscard]] std::string command_help(const CommandRow& command, HelpExtent extent);

}  // namespace sgpt_mi::flags
