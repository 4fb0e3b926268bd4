#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/flags/flag_table.h"

namespace sgpt_mi::flags {

/// A word that stands after the subcommand's name.
struct Positional {
  const char* value;  ///< "MODEL", or choices with '|' between them, as FlagRow::value
  std::string Settings::*target;
  bool required;
  const char* help;
};

/// A subcommand is one row: parser, help, manual page and completion follow from it.
struct CommandRow {
  const char* name;
  Command bit;
  const char* help;
  std::vector<Positional> positionals;  ///< in the order in which they are typed
};

/// All subcommands, in the order of the help.
[[nodiscard]] const std::vector<CommandRow>& command_table();

/// Throws Error(kUsage) with the nearest name when there is no such subcommand.
[[nodiscard]] const CommandRow& find_command(const std::string& name);

}  // namespace sgpt_mi::flags
