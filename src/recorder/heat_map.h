#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/report/run_report.h"
#include "svg.h"

namespace sgpt_mi::recorder {

/// A figure of every linear that is drawn over blocks and kinds of linears.
struct HeatMap {
  std::string id;
  std::string title;
  std::string note;
  std::string absent;  ///< why no linear has the figure, should none have it
  Shade shade = Shade::kWorse;
  std::function<std::optional<double>(const report::LayerReport&)> value;
  /// What the tooltip adds to the figure; unset: nothing.
  std::function<std::string(const report::LayerReport&)> more = {};
  std::optional<double> limit = std::nullopt;  ///< cells above it are outlined
};

/// Blocks to the right, kinds of linears downwards, a key below. The scale is logarithmic when
/// values above 0 span more than a factor of 20. Linears without the figure are grey. With few
/// blocks the figures stand in their cells.
[[nodiscard]] Figure draw_heat_map(const HeatMap& map,
                                   const std::vector<report::LayerReport>& layers);

/// The nine maps of a page, in their order.
[[nodiscard]] const std::vector<HeatMap>& heat_maps();

}  // namespace sgpt_mi::recorder
