#include <plplot.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <map>

#include "heat_map.h"
#include "plot_canvas.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::plots {
namespace {

constexpr std::size_t kMostCells = 600;  // a side: one pixel each
constexpr Box kMatrixBox{90.0, 90.0, 690.0, 690.0};
constexpr double kLabelledShare = 0.03;  // of the channels: a smaller group has no room for a label

void title(PlotCanvas& canvas, const std::string& text) {
  canvas.font(15);
  plmtex("t", 3.7, 0.5, 0.5, plot_text(text, 70).c_str());
  canvas.font(13);
  canvas.axis_titles("channel, ordered by group", "channel, ordered by group");
}

/// The numbers of the groups above their columns, "group" before them.
void group_numbers(PlotCanvas& canvas, const HeatMap& map) {
  const auto n = static_cast<double>(map.borders.back());
  canvas.font(12);
  for (std::size_t group = 0; group + 1 < map.borders.size(); ++group) {
    const auto begin = static_cast<double>(map.borders[group]);
    const auto end = static_cast<double>(map.borders[group + 1]);
    if (end - begin < kLabelledShare * n) continue;
    plmtex("t", 1.4, 0.5 * (begin + end) / n, 0.5, std::to_string(group).c_str());
  }
  plmtex("t", 1.4, -0.015, 1.0, "group");
}

void border_lines(const HeatMap& map) {
  const auto n = static_cast<double>(map.borders.back());
  plcol0(kWhite);
  for (std::size_t group = 1; group + 1 < map.borders.size(); ++group) {
    const auto at = static_cast<double>(map.borders[group]);
    pljoin(0.0, at, n, at);
    pljoin(at, 0.0, at, n);
  }
  plcol0(kBlack);
}

/// Channels per width, and the colour of each width.
struct Widths {
  std::map<int, std::int64_t> channels;
  std::map<int, int> colours;
};

Widths count_widths(const HeatMap& map, std::span<const int> group_bits) {
  ensure(group_bits.size() + 1 == map.borders.size(), "report: one width a group is needed");
  Widths widths;
  for (std::size_t group = 0; group < group_bits.size(); ++group) {
    widths.channels[group_bits[group]] += map.borders[group + 1] - map.borders[group];
  }
  for (const auto& [bits, channels] : widths.channels) {
    widths.colours.emplace(bits, palette_colour(widths.colours.size()));
  }
  return widths;
}

void diagonal_blocks(PlotCanvas& canvas, const HeatMap& map, std::span<const int> group_bits,
                     const Widths& widths) {
  const auto n = static_cast<double>(map.borders.back());
  canvas.font(15);
  for (std::size_t group = 0; group < group_bits.size(); ++group) {
    const auto begin = static_cast<double>(map.borders[group]);
    const auto end = static_cast<double>(map.borders[group + 1]);
    if (begin == end) continue;
    canvas.rectangle({begin, end, begin, end}, widths.colours.at(group_bits[group]), 0.6);
    const std::array<PLFLT, 5> x{begin, end, end, begin, begin};
    const std::array<PLFLT, 5> y{begin, begin, end, end, begin};
    plline(5, x.data(), y.data());
    if (end - begin < kLabelledShare * n) continue;
    canvas.text(0.5 * (begin + end), 0.5 * (begin + end), 0.5, std::to_string(group_bits[group]));
  }
}

void width_key(PlotCanvas& canvas, const Widths& widths, double channels, const Box& box) {
  canvas.enter(box, {0.0, box.right - box.left, box.bottom - box.top, 0.0});
  canvas.font(14);
  canvas.text(0.0, 8.0, 0.0, "width of the group");
  double y = 36.0;
  for (const auto& [bits, count] : widths.channels) {
    canvas.rectangle({0.0, 18.0, y - 9.0, y + 9.0}, widths.colours.at(bits), 0.6);
    canvas.text(28.0, y, 0.0,
                fmt::format("{} bits: {} channels ({:.1f} %)", bits, count,
                            100.0 * static_cast<double>(count) / channels));
    y += 28.0;
  }
}

}  // namespace

std::string mi_matrix_png(const GroupedMatrix& matrix) {
  const HeatMap map = order_by_group(matrix, kMostCells);
  PlotCanvas canvas(840, 760);
  draw_heat_map(canvas, map, kMatrixBox, Scale::kViridis);
  border_lines(map);
  title(canvas, matrix.title);
  group_numbers(canvas, map);
  draw_colour_bar(canvas, map, {715.0, 90.0, 740.0, 690.0}, matrix.unit);
  return canvas.finish();
}

std::string grouping_result_png(const GroupedMatrix& matrix, std::span<const int> group_bits) {
  const HeatMap map = order_by_group(matrix, kMostCells);
  const Widths widths = count_widths(map, group_bits);
  PlotCanvas canvas(1040, 760);
  draw_heat_map(canvas, map, kMatrixBox, Scale::kGreys);
  diagonal_blocks(canvas, map, group_bits, widths);
  title(canvas, matrix.title);
  group_numbers(canvas, map);
  width_key(canvas, widths, static_cast<double>(matrix.channels), {720.0, 90.0, 1030.0, 400.0});
  draw_colour_bar(canvas, map, {720.0, 420.0, 745.0, 690.0}, matrix.unit);
  return canvas.finish();
}

}  // namespace sgpt_mi::plots
