#include "heat_map.h"

#include <plplot.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::plots {
namespace {

constexpr double kScaleShare = 0.995;  // of the cells are within the colour scale

void check(const GroupedMatrix& matrix) {
  ensure(matrix.channels > 0, "report: a picture of a matrix without channels");
  const auto n = static_cast<std::size_t>(matrix.channels);
  ensure(matrix.values.size() == n * n && matrix.labels.size() == n,
         "report: a picture needs (n, n) values and n labels");
  ensure(std::all_of(matrix.labels.begin(), matrix.labels.end(),
                     [](std::int64_t label) { return label >= 0; }),
         "report: a picture needs groups from 0 on");
  ensure(std::all_of(matrix.values.begin(), matrix.values.end(),
                     [](float value) { return std::isfinite(value); }),
         "report: a picture of a matrix needs finite values");
}

/// First position of every group in the order by group, then n.
std::vector<std::int64_t> group_borders(std::span<const std::int64_t> labels) {
  const std::int64_t groups = *std::max_element(labels.begin(), labels.end()) + 1;
  std::vector<std::int64_t> borders(static_cast<std::size_t>(groups) + 1, 0);
  for (const std::int64_t label : labels) ++borders[static_cast<std::size_t>(label) + 1];
  std::partial_sum(borders.begin(), borders.end(), borders.begin());
  return borders;
}

/// The drawn cell of every channel.
std::vector<std::size_t> cell_of_channel(std::span<const std::int64_t> labels,
                                         const std::vector<std::int64_t>& borders,
                                         std::size_t cells) {
  std::vector<std::int64_t> next = borders;
  std::vector<std::size_t> cell;
  for (const std::int64_t label : labels) {
    const auto position = static_cast<std::size_t>(next[static_cast<std::size_t>(label)]++);
    cell.push_back(position * cells / labels.size());
  }
  return cell;
}

/// Sets the end of the colour scale from the drawn cells.
void set_top(HeatMap& map) {
  std::vector<double> drawn;
  for (const double value : map.values) {
    if (value >= 0.0) drawn.push_back(value);
  }
  if (drawn.empty()) return;
  const auto at = static_cast<std::ptrdiff_t>(static_cast<double>(drawn.size() - 1) * kScaleShare);
  std::nth_element(drawn.begin(), drawn.begin() + at, drawn.end());
  const double percentile = drawn[static_cast<std::size_t>(at)];
  const double largest = *std::max_element(drawn.begin() + at, drawn.end());
  // Values below a percentile of 0 are all 0: the largest is the only scale left.
  map.top = percentile > 0.0 ? percentile : largest;
  if (map.top <= 0.0) map.top = 1.0;
  map.clipped = largest > map.top;
}

/// An image of (columns, rows) values over an extent. The colours span 0 to top; cells outside of
/// that are left as they are.
void draw_image(const std::vector<double>& values, std::size_t columns, std::size_t rows,
                const Window& extent, double top) {
  // PLplot takes the values for corners and colours a cell by its first one: the last column and
  // row only end the cells before them.
  std::vector<PLFLT> corners((columns + 1) * (rows + 1), 0.0);
  std::vector<const PLFLT*> starts;
  for (std::size_t i = 0; i <= columns; ++i) {
    starts.push_back(&corners[i * (rows + 1)]);
    for (std::size_t j = 0; i < columns && j < rows; ++j) {
      corners[i * (rows + 1) + j] = values[i * rows + j];
    }
  }
  plimagefr(starts.data(), static_cast<PLINT>(columns + 1), static_cast<PLINT>(rows + 1),
            extent.left, extent.right, extent.bottom, extent.top, 0.0, top, 0.0, top, nullptr,
            nullptr);
}

}  // namespace

HeatMap order_by_group(const GroupedMatrix& matrix, std::size_t limit) {
  check(matrix);
  const auto n = static_cast<std::size_t>(matrix.channels);
  HeatMap map;
  map.cells = std::min(n, limit);
  map.borders = group_borders(matrix.labels);
  const std::vector<std::size_t> cell = cell_of_channel(matrix.labels, map.borders, map.cells);
  map.values.assign(map.cells * map.cells, 0.0);
  std::vector<double> counts(map.values.size(), 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const std::size_t at = cell[i] * map.cells + cell[j];
      // A relation below 0 is estimation noise around none.
      map.values[at] += std::max(0.0, static_cast<double>(matrix.values[i * n + j]));
      counts[at] += 1.0;
    }
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    map.values[i] = counts[i] > 0.0 ? map.values[i] / counts[i] : -1.0;
  }
  set_top(map);
  return map;
}

void draw_heat_map(PlotCanvas& canvas, const HeatMap& map, const Box& box, Scale scale) {
  const auto n = static_cast<double>(map.borders.back());
  canvas.enter(box, {0.0, n, n, 0.0});
  canvas.scale(scale);
  std::vector<double> values = map.values;
  for (double& value : values) value = std::min(value, map.top);
  draw_image(values, map.cells, map.cells, {0.0, n, 0.0, n}, map.top);
  canvas.enter(box, {0.0, n, n, 0.0});
  canvas.font(13);
  plbox("bcnst", 0.0, 0, "bcnstv", 0.0, 0);
}

void draw_colour_bar(PlotCanvas& canvas, const HeatMap& map, const Box& box,
                     const std::string& unit) {
  constexpr std::size_t kSteps = 256;
  std::vector<double> ramp(kSteps);
  for (std::size_t i = 0; i < kSteps; ++i) {
    ramp[i] = map.top * (static_cast<double>(i) + 0.5) / static_cast<double>(kSteps);
  }
  const Window window{0.0, 1.0, 0.0, map.top};
  canvas.enter(box, window);
  draw_image(ramp, 1, kSteps, window, map.top);
  canvas.enter(box, window);
  canvas.font(13);
  plbox("bc", 0.0, 0, "bcmstv", 0.0, 0);
  const std::string note = map.clipped ? " (top 0.5 % of the cells clipped)" : "";
  plmtex("r", 5.0, 0.5, 0.5, plot_text(unit + note).c_str());
}

}  // namespace sgpt_mi::plots
