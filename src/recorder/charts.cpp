#include "charts.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "sgpt_mi/core/byte_size.h"

namespace sgpt_mi::recorder {
namespace {

using report::LayerPlace;
using report::LayerReport;

constexpr const char* kGridLine = "stroke=\"#d8dee4\"";

/// A box with axes, from values to pixels.
struct Plot {
  double left = 70.0;
  double top = 12.0;
  double right = 430.0;
  double bottom = 262.0;
  double x_least = 0.0;
  double x_most = 1.0;
  double y_least = 0.0;
  double y_most = 1.0;

  [[nodiscard]] double x(double value) const {
    return left + (right - left) * (value - x_least) / (x_most - x_least);
  }
  [[nodiscard]] double y(double value) const {
    return bottom - (bottom - top) * (value - y_least) / (y_most - y_least);
  }
};

/// 1, 2 or 5 times a power of ten: about five of them in a range.
double tick_step(double range) {
  const double power = std::pow(10.0, std::floor(std::log10(range / 4.0)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (range / (factor * power) <= 6.0) return factor * power;
  }
  return 10.0 * power;
}

void draw_key(Svg& svg, double x, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double y = 22.0 + 18.0 * static_cast<double>(i);
    svg.rectangle({x, y - 9.0, 10.0, 10.0}, category_colour(i));
    svg.text(x + 16.0, y, "start", names[i]);
  }
}

/// One line of a chart.
struct Series {
  std::string name;
  std::map<std::int64_t, double> values;  ///< block -> value
};

/// Linears of one input have the same values: they become one series with all their names.
std::vector<Series> join_equal(std::vector<Series> series) {
  std::vector<Series> joined;
  for (Series& one : series) {
    const auto same = std::find_if(joined.begin(), joined.end(),
                                   [&](const Series& other) { return other.values == one.values; });
    if (same == joined.end()) {
      joined.push_back(std::move(one));
    } else {
      same->name += ", " + one.name;
    }
  }
  return joined;
}

std::vector<Series> gap_series(const std::vector<LayerReport>& layers) {
  const std::vector<LayerPlace> places = report::layer_places(layers);
  std::vector<Series> series;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].stream_gap || !std::isfinite(*layers[i].stream_gap)) continue;
    auto found = std::find_if(series.begin(), series.end(),
                              [&](const Series& one) { return one.name == places[i].kind; });
    if (found == series.end()) found = series.insert(series.end(), Series{places[i].kind, {}});
    found->values[places[i].block] = *layers[i].stream_gap;
  }
  return join_equal(std::move(series));
}

void draw_block_axes(Svg& svg, const Plot& plot) {
  const double y_step = tick_step(plot.y_most);
  for (double value = 0.0; value <= plot.y_most; value += y_step) {
    svg.line(plot.left, plot.y(value), plot.right, plot.y(value), kGridLine);
    svg.text(plot.left - 6.0, plot.y(value) + 4.0, "end", figure(value));
  }
  const double blocks = plot.x_most - plot.x_least;
  const double x_step = std::max(1.0, tick_step(blocks));
  for (double block = std::ceil(plot.x_least) + 0.0; block <= plot.x_most; block += x_step) {
    svg.text(plot.x(block), plot.bottom + 18.0, "middle", fmt::format("{:g}", block));
  }
  svg.text(0.5 * (plot.left + plot.right), plot.bottom + 36.0, "middle", "block");
}

/// The powers of ten of both logarithmic axes.
void draw_decades(Svg& svg, const Plot& plot) {
  const auto step = std::max(1.0, std::ceil((plot.x_most - plot.x_least) / 6.0));
  for (double decade = std::ceil(plot.x_least); decade <= plot.x_most; decade += step) {
    const std::string name = fmt::format("1e{:g}", decade);
    svg.line(plot.left, plot.y(decade), plot.right, plot.y(decade), kGridLine);
    svg.line(plot.x(decade), plot.top, plot.x(decade), plot.bottom, kGridLine);
    svg.text(plot.left - 6.0, plot.y(decade) + 4.0, "end", name);
    svg.text(plot.x(decade), plot.bottom + 18.0, "middle", name);
  }
}

/// Bars with their names and values, the longest first.
std::string draw_bars(std::vector<std::pair<std::string, double>> bars, std::size_t most,
                      const std::string& label, std::string (*value_text)(double)) {
  std::stable_sort(bars.begin(), bars.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (bars.size() > most) bars.resize(most);
  constexpr double kLeft = 150.0;
  constexpr double kWidth = 300.0;
  constexpr double kHeight = 20.0;
  Svg svg(kLeft + kWidth + 110.0, kHeight * static_cast<double>(bars.size()) + 6.0, label);
  const double longest = bars.front().second;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const auto& [name, value] = bars[i];
    const double y = kHeight * static_cast<double>(i) + 3.0;
    const double length = std::max(1.0, kWidth * value / longest);
    svg.text(kLeft - 8.0, y + 13.0, "end", name);
    svg.rectangle({kLeft, y + 2.0, length, kHeight - 6.0}, colour(Shade::kNeutral, 0.6),
                  name + ": " + value_text(value), "class=\"bar\"");
    svg.text(kLeft + length + 6.0, y + 13.0, "start", value_text(value));
  }
  return svg.finish();
}

std::string seconds_text(double seconds) { return fmt::format("{:.3g} s", seconds); }

std::string bytes_text(double bytes) { return human_bytes(static_cast<std::int64_t>(bytes)); }

/// A linear whose damage was planned, as logarithms.
struct DamagePoint {
  std::size_t layer = 0;
  double planned = 0.0;
  double reached = 0.0;
};

std::vector<DamagePoint> damage_points(const std::vector<LayerReport>& layers) {
  std::vector<DamagePoint> points;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const double planned = layers[i].planned_damage.value_or(0.0);
    const double reached = layers[i].reached_damage.value_or(0.0);
    if (!(planned > 0.0 && reached > 0.0)) continue;
    points.push_back({i, std::log10(planned), std::log10(reached)});
  }
  return points;
}

/// One scale for both axes, so that the line where they are equal is the diagonal.
Plot damage_plot(const std::vector<DamagePoint>& points) {
  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  for (const DamagePoint& point : points) {
    least = std::min({least, point.planned, point.reached});
    most = std::max({most, point.planned, point.reached});
  }
  Plot plot;
  plot.right = 390.0;
  plot.bottom = plot.top + plot.right - plot.left;
  plot.x_least = plot.y_least = std::floor(least - 0.05);
  plot.x_most = plot.y_most = std::ceil(most + 0.05);
  return plot;
}

}  // namespace

Figure draw_stream_gap(const std::vector<LayerReport>& layers) {
  Figure drawn{"stream-gap", "Drift of the two streams, block by block",
               "Σ |x of the dense model − x| / Σ |x| at the input of every linear: how far the "
               "compressed blocks before have taken it away.",
               "", "the run followed one stream only; --drift follows the dense model's beside it"};
  const std::vector<Series> series = gap_series(layers);
  if (series.empty()) return drawn;
  Plot plot;
  plot.x_least = std::numeric_limits<double>::infinity();
  plot.x_most = 0.0;
  double most = 0.0;
  for (const Series& one : series) {
    for (const auto& [block, value] : one.values) {
      plot.x_least = std::min(plot.x_least, static_cast<double>(block) - 0.5);
      plot.x_most = std::max(plot.x_most, static_cast<double>(block) + 0.5);
      most = std::max(most, value);
    }
  }
  plot.y_most = most > 0.0 ? 1.08 * most : 1.0;
  Svg svg(plot.right + 165.0, plot.bottom + 44.0, drawn.title);
  draw_block_axes(svg, plot);
  std::vector<std::string> names;
  for (const Series& one : series) {
    const std::string stroke = category_colour(names.size());
    std::vector<std::pair<double, double>> line;
    for (const auto& [block, value] : one.values) {
      line.emplace_back(plot.x(static_cast<double>(block)), plot.y(value));
    }
    svg.polyline(line, stroke);
    for (const auto& [block, value] : one.values) {
      svg.dot(plot.x(static_cast<double>(block)), plot.y(value), 3.5, stroke,
              fmt::format("block {}, {}: {}", block, one.name, figure(value)));
    }
    names.push_back(one.name);
  }
  draw_key(svg, plot.right + 16.0, names);
  drawn.svg = svg.finish();
  return drawn;
}

Figure draw_damage(const std::vector<LayerReport>& layers) {
  Figure drawn{"damage", "Planned against reached damage",
               "A dot for every linear, nats a token with Fisher sensitivity. Above the line a "
               "linear lost more than the plan predicted for it.",
               "", "nothing was planned from measured damage; method rd does that"};
  const std::vector<DamagePoint> points = damage_points(layers);
  if (points.empty()) return drawn;
  const std::vector<LayerPlace> places = report::layer_places(layers);
  const Plot plot = damage_plot(points);
  Svg svg(plot.right + 170.0, plot.bottom + 44.0, drawn.title);
  draw_decades(svg, plot);
  svg.line(plot.left, plot.bottom, plot.right, plot.top,
           "stroke=\"#57606a\" stroke-dasharray=\"4 4\"");
  std::vector<std::string> kinds;
  double planned = 0.0;
  double reached = 0.0;
  for (const DamagePoint& point : points) {
    const LayerReport& layer = layers[point.layer];
    const auto found = std::find(kinds.begin(), kinds.end(), places[point.layer].kind);
    const auto kind = static_cast<std::size_t>(found - kinds.begin());
    if (found == kinds.end()) kinds.push_back(places[point.layer].kind);
    planned += *layer.planned_damage;
    reached += *layer.reached_damage;
    svg.dot(plot.x(point.planned), plot.y(point.reached), 4.0, category_colour(kind),
            fmt::format("{}: planned {}, reached {}", linear_text(places[point.layer]),
                        figure(*layer.planned_damage), figure(*layer.reached_damage)));
  }
  svg.text(0.5 * (plot.left + plot.right), plot.bottom + 36.0, "middle", "planned");
  svg.text(plot.left + 8.0, plot.top + 14.0, "start", "reached");
  draw_key(svg, plot.right + 16.0, kinds);
  drawn.note += fmt::format(" In all: planned {}, reached {}.", figure(planned), figure(reached));
  drawn.svg = svg.finish();
  return drawn;
}

Figure draw_stages(const report::RunReport& report) {
  Figure drawn{"stages", "Seconds by stage",
               "Stages lie within others: the steps of obs within obs, obs within compress.", "",
               "no stage had ended"};
  std::vector<std::pair<std::string, double>> bars(report.timings.begin(), report.timings.end());
  std::erase_if(bars, [](const auto& bar) { return bar.second <= 0.0; });
  if (!bars.empty()) drawn.svg = draw_bars(std::move(bars), 18, drawn.title, seconds_text);
  return drawn;
}

Figure draw_parts(const report::RunReport& report) {
  Figure drawn{"parts", "Bytes by part", "What the saved model consists of.", "",
               "the run had not come to the size of the model"};
  if (!report.totals) return drawn;
  std::vector<std::pair<std::string, double>> bars;
  for (const auto& [part, bytes] : report.totals->bytes_by_part) {
    if (bytes > 0) bars.emplace_back(part, static_cast<double>(bytes));
  }
  if (!bars.empty()) drawn.svg = draw_bars(std::move(bars), 18, drawn.title, bytes_text);
  return drawn;
}

}  // namespace sgpt_mi::recorder
