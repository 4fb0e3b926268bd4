#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "plot_canvas.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::plots {

/// A GroupedMatrix ready to draw: ordered by group, averaged down.
struct HeatMap {
  std::size_t cells = 0;              ///< m, a side
  std::vector<double> values;         ///< (m, m); -1 where a cell holds diagonal elements alone
  double top = 1.0;                   ///< end of the colour scale, > 0
  bool clipped = false;               ///< some cells are above the scale's end
  std::vector<std::int64_t> borders;  ///< first channel of every group, then n; non-decreasing
};

/// Orders the channels by group (within a group as they come), averages blocks of channels when
/// there are more than `limit`, without the diagonal elements. Throws as mi_matrix_png().
[[nodiscard]] HeatMap order_by_group(const GroupedMatrix& matrix, std::size_t limit);

/// Draws it into a box whose axes count channels, the first one in the upper left corner.
void draw_heat_map(PlotCanvas& canvas, const HeatMap& map, const Box& box, Scale scale);

/// Draws the colours of draw_heat_map() with their values into a narrow box, the unit beside it.
void draw_colour_bar(PlotCanvas& canvas, const HeatMap& map, const Box& box,
                     const std::string& unit);

}  // namespace sgpt_mi::plots
