#pragma once

#include "sgpt_mi/report/run_report.h"
#include "svg.h"

namespace sgpt_mi::recorder {

/// LayerReport::stream_gap over the blocks, one line for the linears that share an input.
[[nodiscard]] Figure draw_stream_gap(const std::vector<report::LayerReport>& layers);

/// Reached against planned damage of every linear, both logarithmic, with the line where they are
/// equal.
[[nodiscard]] Figure draw_damage(const std::vector<report::LayerReport>& layers);

/// Seconds of the stages, and bytes of the parts of the saved model, as bars.
[[nodiscard]] Figure draw_stages(const report::RunReport& report);
[[nodiscard]] Figure draw_parts(const report::RunReport& report);

}  // namespace sgpt_mi::recorder
