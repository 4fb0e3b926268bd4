#pragma once

#include <optional>

#include "sgpt_mi/cli/settings.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// The method that the flags ask for: the one given, else `mi` when a flag that only it reads was.
[[nodiscard]] pipeline::Method chosen_method(const ResolvedSettings& settings);

/// The options of a method with widths of its own; nothing for the others.
/// Throws Error(kUsage) for values out of range and for flags that the method does not read.
[[nodiscard]] std::optional<pipeline::WidthOptions> width_options(const ResolvedSettings& settings,
                                                                  pipeline::Method method);

/// Forgets that flags were given which only methods with widths read.
void drop_width_flags(ResolvedSettings& settings);

[[nodiscard]] bool has_widths(pipeline::Method method);

}  // namespace sgpt_mi::cli
