#pragma once

#include <optional>

#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// Levels, target and units of a measured plan (method rd). Units are whole linears unless
/// --n_groups is given.
[[nodiscard]] planning::WidthOptions plan_width_options(const ResolvedSettings& settings);

/// Whether a flag was given a value of its own: a file that lists the defaults asks for nothing.
[[nodiscard]] bool asked(const ResolvedSettings& settings, const std::string& key);

/// The options of a method with widths of its own; nothing for the others.
/// Throws Error(kUsage) for values out of range and for flags that the method does not read.
[[nodiscard]] std::optional<planning::WidthOptions> width_options(const ResolvedSettings& settings,
                                                                  compress::Method method);

/// Whether a width or a size is asked for.
[[nodiscard]] bool asks_for_codes(const Settings& typed);

/// The block types of a format that holds blocks; nothing for the others, and when no codes are
/// asked for. Throws Error(kUsage) for an unknown type, and for flags that contradict the format or
/// the method.
[[nodiscard]] std::optional<planning::TypeOptions> type_options(
    const Settings& typed, const formats::Format& format,
    const compress::CompressionSettings& compression);

/// Forgets that flags were given which only other methods read.
void drop_flags_of_others(ResolvedSettings& settings, compress::Method method);

}  // namespace sgpt_mi::cli
