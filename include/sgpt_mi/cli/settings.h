#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/flags/settings.h"
#include "sgpt_mi/pipeline/compare.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// The sets of --eval: "a,b" is two unless a file has that name, "none" is none.
[[nodiscard]] std::vector<std::string> eval_sets(const std::string& text);

/// MODEL with --revision behind it, as formats::locate_model takes it.
[[nodiscard]] std::string model_of(const flags::Settings& typed);

/// Everything typed that decides what a compression gives, by key: what a sweep knows its cells and
/// an unfinished run its settings by.
[[nodiscard]] nlohmann::json result_settings(const flags::ResolvedSettings& settings);

/// The options of `compress` and `plan`. Throws Error(kUsage) for flags that contradict each other.
[[nodiscard]] pipeline::CompressRun to_compress_run(const flags::ResolvedSettings& settings);

/// The runs of `compare`. A flag that only some of the methods read is given to those.
/// Throws Error(kUsage).
[[nodiscard]] pipeline::CompareRun to_compare_run(const flags::ResolvedSettings& settings);

/// The options of `eval`. Throws Error(kUsage).
[[nodiscard]] pipeline::EvalRun to_eval_run(const flags::ResolvedSettings& settings);

}  // namespace sgpt_mi::cli
