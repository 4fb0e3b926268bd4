#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/flags/settings.h"
#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::cli {

/// Runs the subcommand that the settings name. `command_line` goes into the report.
/// Throws Error with the kind that gives the exit code.
/// Of several ranks, rank 0 alone shows and writes; only compressions and evaluations are shared.
void run_command(const flags::ResolvedSettings& settings,
                 const std::vector<std::string>& command_line, const ranks::World& world);

/// `sgpt-mi sweep`: the table goes to stdout, everything else as pipeline/sweep.h says. When cells
/// failed, throws Error of the first one's kind after all cells and tables are done.
void run_sweep_command(const flags::ResolvedSettings& settings,
                       const std::vector<std::string>& command_line);

}  // namespace sgpt_mi::cli
