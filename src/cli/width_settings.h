#pragma once

#include <optional>

#include "sgpt_mi/flags/settings.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// Levels, target and units of a measured plan (method rd). Units are whole linears unless
/// --n_groups is given.
[[nodiscard]] widths::WidthOptions plan_width_options(const flags::ResolvedSettings& settings);

/// Whether a flag was given a value of its own: a file that lists the defaults asks for nothing,
/// nor does the -1 that leaves a switch to the method.
[[nodiscard]] bool asked(const flags::ResolvedSettings& settings, const std::string& key);

/// The options of a method with widths of its own; nothing for the others.
/// Throws Error(kUsage) for values out of range and for flags that the method does not read.
[[nodiscard]] std::optional<widths::WidthOptions> width_options(
    const flags::ResolvedSettings& settings, compress::Method method);

/// Whether a width or a size is asked for.
[[nodiscard]] bool asks_for_codes(const flags::Settings& typed);

/// Forgets that flags were given which only other methods read.
void drop_flags_of_others(flags::ResolvedSettings& settings, compress::Method method);

}  // namespace sgpt_mi::cli
