#include "heat_map.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "limits.h"
#include "sgpt_mi/core/byte_size.h"

namespace sgpt_mi::recorder {
namespace {

using report::LayerPlace;
using report::LayerReport;

constexpr double kWideRatio = 20.0;  // from which a logarithm reads better
constexpr double kLeft = 100.0;      // of the names of kinds
constexpr double kCellHeight = 20.0;
constexpr std::int64_t kBlocksWithFigures = 12;

/// From values to the scale's 0 to 1.
struct Scale {
  double least = std::numeric_limits<double>::infinity();  ///< above 0 where logarithmic
  double most = -std::numeric_limits<double>::infinity();
  bool logarithmic = false;

  [[nodiscard]] double share(double value) const {
    if (most <= least) return 0.1;  // all alike
    if (!logarithmic) return (value - least) / (most - least);
    return value <= 0.0 ? 0.0 : std::log(value / least) / std::log(most / least);
  }
};

Scale scale_of(const std::vector<std::optional<double>>& values) {
  Scale scale;
  double positive = std::numeric_limits<double>::infinity();
  for (const std::optional<double>& value : values) {
    if (!value || !std::isfinite(*value)) continue;
    scale.least = std::min(scale.least, *value);
    scale.most = std::max(scale.most, *value);
    if (*value > 0.0) positive = std::min(positive, *value);
  }
  scale.logarithmic = scale.least >= 0.0 && scale.most > kWideRatio * positive;
  if (scale.logarithmic) scale.least = positive;
  return scale;
}

/// Where the cells of a map lie.
struct Grid {
  explicit Grid(const std::vector<LayerPlace>& places) {
    for (const LayerPlace& place : places) {
      if (kind_of(place) == kinds.size()) kinds.push_back(place.kind);
      first = std::min(first, place.block);
      last = std::max(last, place.block);
    }
    const auto blocks = static_cast<double>(last - first + 1);
    figures = last - first + 1 <= kBlocksWithFigures;
    cell = figures ? 52.0 : std::clamp(470.0 / blocks, 9.0, 26.0);
    width = std::max(kLeft + blocks * cell + 10.0, kLeft + 270.0);
    bottom = kCellHeight * static_cast<double>(kinds.size());
  }

  [[nodiscard]] std::size_t kind_of(const LayerPlace& place) const {
    return static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), place.kind) -
                                    kinds.begin());
  }
  [[nodiscard]] double x(std::int64_t block) const {
    return kLeft + cell * static_cast<double>(block - first);
  }

  std::vector<std::string> kinds;  ///< in order of appearance
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last = 0;
  double cell = 0.0;     ///< its width
  bool figures = false;  ///< whether they stand in the cells
  double width = 0.0;
  double bottom = 0.0;  ///< of the cells
};

std::string tip_of(const HeatMap& map, const LayerPlace& place, const LayerReport& layer,
                   std::optional<double> value) {
  std::string tip = linear_text(place) + ": " + (value ? figure(*value) : "not known");
  if (map.more && value) tip += ", " + map.more(layer);
  return tip;
}

void draw_cell(Svg& svg, const HeatMap& map, const Grid& grid, const Scale& scale,
               const LayerPlace& place, const LayerReport& layer) {
  const double x = grid.x(place.block);
  const double y = kCellHeight * static_cast<double>(grid.kind_of(place));
  std::optional<double> value = map.value(layer);
  if (value && !std::isfinite(*value)) value.reset();
  const double share = value ? scale.share(*value) : 0.0;
  const std::string fill = value ? colour(map.shade, share) : "#d0d7de";
  const bool beyond = value && map.limit && *value > *map.limit;
  svg.rectangle({x + 0.5, y + 0.5, grid.cell - 1.0, kCellHeight - 1.0}, fill,
                tip_of(map, place, layer, value), beyond ? "class=\"beyond\"" : "");
  if (!grid.figures || !value) return;
  svg.text(x + 0.5 * grid.cell, y + 14.0, "middle", short_figure(*value),
           share > 0.6 ? "class=\"light\"" : "class=\"dark\"");
}

void draw_names(Svg& svg, const Grid& grid) {
  for (std::size_t kind = 0; kind < grid.kinds.size(); ++kind) {
    svg.text(kLeft - 6.0, kCellHeight * static_cast<double>(kind) + 14.0, "end", grid.kinds[kind]);
  }
  const auto step = static_cast<std::int64_t>(std::ceil(24.0 / grid.cell));
  for (std::int64_t block = grid.first; block <= grid.last; ++block) {
    if ((block - grid.first) % step != 0) continue;
    svg.text(grid.x(block) + 0.5 * grid.cell, grid.bottom + 14.0, "middle", std::to_string(block));
  }
  svg.text(kLeft - 6.0, grid.bottom + 14.0, "end", "block");
}

void draw_scale(Svg& svg, const HeatMap& map, const Grid& grid, const Scale& scale) {
  constexpr int kSteps = 40;
  constexpr double kStep = 2.5;
  const double y = grid.bottom + 26.0;
  if (scale.most <= scale.least) {
    svg.text(kLeft, y + 10.0, "start", "all " + figure(scale.most));
    return;
  }
  const std::string least = figure(scale.least);
  const double left = kLeft + 7.0 * static_cast<double>(least.size()) + 6.0;
  svg.text(left - 6.0, y + 10.0, "end", least);
  for (int i = 0; i < kSteps; ++i) {
    svg.rectangle({left + kStep * i, y, kStep + 0.5, 12.0},
                  colour(map.shade, static_cast<double>(i) / (kSteps - 1)));
  }
  svg.text(left + kStep * kSteps + 6.0, y + 10.0, "start",
           figure(scale.most) + (scale.logarithmic ? " (log)" : ""));
}

std::optional<double> count_of(std::int64_t count) { return static_cast<double>(count); }

std::string of_columns(std::int64_t channels, const LayerReport& layer) {
  return fmt::format("of {} channels", layer.columns) +
         (channels > 0 ? fmt::format(" ({:.1f} %)", 100.0 * static_cast<double>(channels) /
                                                        static_cast<double>(layer.columns))
                       : "");
}

std::string damping_text(const LayerReport& layer) {
  const bool wide = !layer.damping_steps.empty() && layer.damping_steps.back().float64;
  return fmt::format("damping {:g}{}", layer.damping, wide ? " in float64" : "");
}

std::string size_text(const LayerReport& layer) {
  const double weights = static_cast<double>(layer.rows) * static_cast<double>(layer.columns);
  return fmt::format("{} x {}, {}", layer.rows, layer.columns,
                     human_bytes(static_cast<std::int64_t>(layer.stored_bits * weights / 8.0)));
}

std::vector<HeatMap> error_maps() {
  return {{"output-error", "Output error",
           "Share of the energy of the linear's output that is wrong: trace(ΔW H ΔWᵀ) / trace(W H "
           "Wᵀ).",
           "no linear was compressed", Shade::kWorse,
           [](const LayerReport& layer) { return std::optional(layer.output_error); }},
          {"damping", "Tries of damping",
           "Factorisations of H until one succeeded; 1: the damping asked for was enough.",
           "the method does not factorise H", Shade::kWorse,
           [](const LayerReport& layer) -> std::optional<double> {
             if (layer.damping_steps.empty()) return std::nullopt;
             return static_cast<double>(layer.damping_steps.size());
           },
           damping_text},
          {"condition", "Condition of the damped H",
           "Largest by smallest eigenvalue, estimated from below. With 1 % of damping it cannot "
           "exceed 100 times the channels; near that, few tokens or few directions were seen.",
           "the method does not factorise H", Shade::kWorse,
           [](const LayerReport& layer) { return layer.condition; }}};
}

std::vector<HeatMap> input_maps() {
  return {{"dead-channels", "Dead channels",
           "Input channels that never fired in calibration; their weights are zero.",
           "no linear was compressed", Shade::kWorse,
           [](const LayerReport& layer) { return count_of(layer.dead_channels); },
           [](const LayerReport& layer) { return of_columns(layer.dead_channels, layer); }},
          {"massive-channels", "Massive channels",
           "Input channels with over 100 times the median energy: they decide the range of all.",
           "no linear was compressed", Shade::kWorse,
           [](const LayerReport& layer) { return count_of(layer.massive_channels); },
           [](const LayerReport& layer) { return of_columns(layer.massive_channels, layer); }},
          {"activation-range", "Range of the input",
           "Largest |x| in calibration. float16 ends at 65,504: cells beyond it are outlined, and "
           "a runtime that computes in float16 overflows there. bfloat16 and float32 do not.",
           "no linear was compressed", Shade::kWorse,
           [](const LayerReport& layer) { return std::optional(layer.activation_max); },
           [](const LayerReport& layer) {
             return fmt::format("{:.2g} % of float16's range", 100.0 * float16_share(layer));
           },
           kFloat16Max}};
}

std::vector<HeatMap> cost_maps() {
  return {{"stored-bits", "Stored bits a weight",
           "What the linear takes in the saved file; bytes in the tooltips.",
           "no linear was compressed", Shade::kNeutral,
           [](const LayerReport& layer) { return std::optional(layer.stored_bits); }, size_text},
          {"sparsity", "Zeros", "Share of the weights that are exactly zero.",
           "no linear was compressed", Shade::kNeutral,
           [](const LayerReport& layer) { return std::optional(layer.sparsity); }},
          {"seconds", "Seconds", "Time of each linear, its packing included.",
           "no linear was compressed", Shade::kNeutral,
           [](const LayerReport& layer) { return std::optional(layer.seconds); }}};
}

}  // namespace

Figure draw_heat_map(const HeatMap& map, const std::vector<LayerReport>& layers) {
  Figure drawn{map.id, map.title, map.note, "", map.absent};
  std::vector<std::optional<double>> values;
  values.reserve(layers.size());
  for (const LayerReport& layer : layers) values.push_back(map.value(layer));
  const Scale scale = scale_of(values);
  if (scale.most < scale.least) return drawn;
  const std::vector<LayerPlace> places = report::layer_places(layers);
  const Grid grid(places);
  Svg svg(grid.width, grid.bottom + 42.0, map.title + ", blocks by linears");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    draw_cell(svg, map, grid, scale, places[i], layers[i]);
  }
  draw_names(svg, grid);
  draw_scale(svg, map, grid, scale);
  drawn.svg = svg.finish();
  return drawn;
}

const std::vector<HeatMap>& heat_maps() {
  static const std::vector<HeatMap> maps = [] {
    std::vector<HeatMap> all = error_maps();
    for (HeatMap& map : input_maps()) all.push_back(std::move(map));
    for (HeatMap& map : cost_maps()) all.push_back(std::move(map));
    return all;
  }();
  return maps;
}

}  // namespace sgpt_mi::recorder
