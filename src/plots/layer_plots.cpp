#include <plplot.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plot_canvas.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::plots {
namespace {

/// Where a linear is drawn, and its value.
struct Point {
  std::int64_t block = 0;
  std::size_t kind = 0;
  double value = 0.0;
};

/// The linears of a model in blocks and kinds.
struct Layout {
  std::vector<std::string> kinds;  ///< in order of appearance
  std::vector<Point> points;
  std::int64_t first = 0;  ///< block
  std::int64_t last = 0;   ///< block
};

Layout lay_out(std::span<const report::LayerReport> layers, double report::LayerReport::*value) {
  ensure(!layers.empty(), "report: a picture of no layers");
  Layout layout;
  const std::vector<report::LayerPlace> places = report::layer_places(layers);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto kind = std::find(layout.kinds.begin(), layout.kinds.end(), places[i].kind);
    layout.points.push_back(
        {places[i].block, static_cast<std::size_t>(kind - layout.kinds.begin()), layers[i].*value});
    if (kind == layout.kinds.end()) layout.kinds.push_back(places[i].kind);
  }
  const auto [first, last] =
      std::minmax_element(layout.points.begin(), layout.points.end(),
                          [](const Point& a, const Point& b) { return a.block < b.block; });
  layout.first = first->block;
  layout.last = last->block;
  return layout;
}

/// The picture of a layout: wide enough for its blocks, the key at the right.
class LayerChart {
 public:
  explicit LayerChart(const Layout& layout)
      : layout_(layout),
        blocks_(static_cast<double>(layout.last - layout.first + 1)),
        width_(static_cast<int>(std::clamp(blocks_ * 36.0, 700.0, 1800.0))),
        box_{90.0, 60.0, 90.0 + width_, 500.0},
        canvas_(width_ + 280, 570) {}

  void enter(double bottom, double top) {
    canvas_.enter(box_, {left(), left() + blocks_, bottom, top});
  }

  /// Axes and names around what is drawn. `y_axis`: PLplot's options of the y axis.
  void frame(const std::string& title, const std::string& unit, const char* y_axis) {
    canvas_.font(13);
    const double labels = std::max(1.0, width_ / 32.0);  // 32 pixels hold the longest number
    plbox("bcnst", std::ceil(blocks_ / labels), 1, y_axis, 0.0, 0);
    canvas_.axis_titles("block", unit);
    canvas_.font(15);
    canvas_.title(title);
    key();
  }

  [[nodiscard]] std::string finish() { return canvas_.finish(); }
  PlotCanvas& canvas() { return canvas_; }

 private:
  [[nodiscard]] double left() const { return static_cast<double>(layout_.first) - 0.5; }

  void key() {
    const Box box{box_.right + 20.0, box_.top, box_.right + 185.0, box_.bottom};
    canvas_.enter(box, {0.0, box.right - box.left, box.bottom - box.top, 0.0});
    canvas_.font(13);
    const double step =
        std::min(26.0, (box.bottom - box.top) / static_cast<double>(layout_.kinds.size() + 1));
    for (std::size_t kind = 0; kind < layout_.kinds.size(); ++kind) {
      const double y = 10.0 + step * static_cast<double>(kind);
      canvas_.rectangle({0.0, 16.0, y - 0.3 * step, y + 0.3 * step}, palette_colour(kind));
      canvas_.text(24.0, y, 0.0, layout_.kinds[kind], 18);
    }
  }

  const Layout& layout_;
  double blocks_;
  int width_;
  Box box_;
  PlotCanvas canvas_;
};

/// One kind's values over the blocks as a line with dots; values that are not drawn break no line.
void draw_series(PlotCanvas& canvas, const Layout& layout, std::size_t kind, bool logarithmic) {
  std::vector<PLFLT> x;
  std::vector<PLFLT> y;
  for (const Point& point : layout.points) {
    if (point.kind != kind || (logarithmic && point.value <= 0.0)) continue;
    x.push_back(static_cast<double>(point.block));
    y.push_back(logarithmic ? std::log10(point.value) : point.value);
  }
  plcol0(palette_colour(kind));
  plwidth(2.0);
  plline(static_cast<PLINT>(x.size()), x.data(), y.data());
  plwidth(1.0);
  for (std::size_t i = 0; i < x.size(); ++i) canvas.dot(x[i], y[i], 4.0, true);
  plcol0(kBlack);
}

/// Range of the positive values, and how many are not.
struct Range {
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0.0;
  std::size_t not_positive = 0;
};

Range range_of(const Layout& layout) {
  Range range;
  for (const Point& point : layout.points) {
    ensure(std::isfinite(point.value), "report: a picture of a value that is not finite");
    if (point.value > 0.0) range.smallest = std::min(range.smallest, point.value);
    if (point.value <= 0.0) ++range.not_positive;
    range.largest = std::max(range.largest, point.value);
  }
  return range;
}

}  // namespace

std::string bits_per_layer_png(std::span<const report::LayerReport> layers) {
  const Layout layout = lay_out(layers, &report::LayerReport::average_bits);
  const Range range = range_of(layout);
  LayerChart chart(layout);
  chart.enter(0.0, range.largest > 0.0 ? 1.08 * range.largest : 1.0);
  plcol0(kLightGrey);
  plbox("", 0.0, 0, "g", 0.0, 0);
  const double width = 0.84 / static_cast<double>(layout.kinds.size());
  for (const Point& point : layout.points) {
    const double left =
        static_cast<double>(point.block) - 0.42 + width * static_cast<double>(point.kind);
    chart.canvas().rectangle({left, left + width, 0.0, point.value}, palette_colour(point.kind));
  }
  chart.frame("Average code bits of every linear", "bits a weight", "bcnstv");
  return chart.finish();
}

std::string loss_per_layer_png(std::span<const report::LayerReport> layers) {
  const Layout layout = lay_out(layers, &report::LayerReport::loss);
  const Range range = range_of(layout);
  const bool logarithmic = range.largest > kWideRatio * range.smallest;
  LayerChart chart(layout);
  if (logarithmic) {
    const double margin = 0.05 * std::log10(range.largest / range.smallest);
    chart.enter(std::log10(range.smallest) - margin, std::log10(range.largest) + margin);
  } else {
    chart.enter(0.0, range.largest > 0.0 ? 1.08 * range.largest : 1.0);
  }
  for (std::size_t kind = 0; kind < layout.kinds.size(); ++kind) {
    draw_series(chart.canvas(), layout, kind, logarithmic);
  }
  std::string title = "Compression loss of every linear";
  if (logarithmic && range.not_positive > 0) {
    title += fmt::format(" ({} without loss not drawn)", range.not_positive);
  }
  chart.frame(title, "loss, sum of (w − q)² / (2 U_jj²)", logarithmic ? "bclnstv" : "bcnstv");
  return chart.finish();
}

}  // namespace sgpt_mi::plots
