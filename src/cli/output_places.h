#pragma once

#include "sgpt_mi/flags/settings.h"

namespace sgpt_mi::cli {

/// Checks before the work where its results are to be written (--save, --output, --report,
/// --record,
/// --trace, --measurements, --plots): hours must not end at a place that cannot be written, and
/// nothing that the command reads or that is the user's may be lost there.
/// \throws Error(kInput) a place that cannot be written; Error(kUsage) a file that the command
/// reads
///         (of the model, data, a configuration), two results of one name, a folder to be replaced
///         that holds more than a model.
void check_output_places(const flags::Settings& typed);

}  // namespace sgpt_mi::cli
