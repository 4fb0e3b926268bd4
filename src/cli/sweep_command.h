#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/cli/settings.h"

namespace sgpt_mi::cli {

/// `sgpt-mi sweep`: the table goes to stdout, everything else as pipeline/sweep.h says. When cells
/// failed, throws Error of the first one's kind after all cells and tables are done.
void run_sweep_command(const ResolvedSettings& settings,
                       const std::vector<std::string>& command_line);

}  // namespace sgpt_mi::cli
