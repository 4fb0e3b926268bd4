#pragma once

#include <string>

#include "sgpt_mi/flags/settings.h"
#include "sgpt_mi/pipeline/compare.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// MODEL with --revision behind it, as formats::locate_model takes it.
[[nodiscard]] std::string model_of(const flags::Settings& typed);

/// The options of `compress` and `plan`. Throws Error(kUsage) for flags that contradict each other.
[[nodiscard]] pipeline::CompressRun to_compress_run(const flags::ResolvedSettings& settings);

/// The runs of `compare`. A flag that only some of the methods read is given to those.
/// Throws Error(kUsage).
[[nodiscard]] pipeline::CompareRun to_compare_run(const flags::ResolvedSettings& settings);

/// The options of `eval`. Throws Error(kUsage).
[[nodiscard]] pipeline::EvalRun to_eval_run(const flags::ResolvedSettings& settings);

}  // namespace sgpt_mi::cli
