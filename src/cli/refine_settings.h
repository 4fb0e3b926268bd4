#pragma once

#include <optional>

#include "sgpt_mi/flags/settings.h"
#include "sgpt_mi/pipeline/options.h"

namespace sgpt_mi::cli {

/// Sets the steps around the sweep: as the flags say, else as the method has them.
/// Throws Error(kUsage) for a switch that is neither 0 nor 1, and for a residual correction without
/// drift correction.
void set_refinement(compress::CompressionSettings& compression, const flags::Settings& typed);

/// Forgets the steps that need compensation, for the method magnitude in a comparison.
void drop_steps(flags::Settings& typed);

/// The measured plan of method rd; nothing for the others. Throws Error(kUsage).
[[nodiscard]] std::optional<planning::PlanOptions> plan_options(
    const flags::ResolvedSettings& settings, compress::Method method);

}  // namespace sgpt_mi::cli
