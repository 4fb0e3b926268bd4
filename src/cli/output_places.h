#pragma once

#include "sgpt_mi/flags/settings.h"

namespace sgpt_mi::cli {

/// Checks before the work where its results are to be written (--report, --record, --trace,
/// --measurements, --plots): hours must not end at a place that cannot be written, nor take the
/// place of what they began with.
/// \throws Error(kInput) a place that cannot be written; Error(kUsage) a file that the command
///         reads: of the model, data, a configuration.
void check_output_places(const flags::Settings& typed);

}  // namespace sgpt_mi::cli
