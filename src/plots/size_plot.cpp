#include <plplot.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "plot_canvas.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::plots {
namespace {

constexpr Box kBox{90.0, 60.0, 990.0, 610.0};

/// What the curves span, with a margin; the y axis holds logarithms.
Window window_of(std::span<const SizeCurve> curves) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  Window window{kFar, -kFar, kFar, -kFar};
  for (const SizeCurve& curve : curves) {
    for (const SizePoint& point : curve.points) {
      ensure(std::isfinite(point.damage) && point.damage > 0.0,
             "plots: a damage without logarithm");
      window.left = std::min(window.left, point.size);
      window.right = std::max(window.right, point.size);
      window.bottom = std::min(window.bottom, std::log10(point.damage));
      window.top = std::max(window.top, std::log10(point.damage));
    }
  }
  ensure(window.left <= window.right, "plots: a picture of no sizes");
  const double margin = std::max(0.05 * (window.right - window.left), 0.1);
  const double room = std::max(0.05 * (window.top - window.bottom), 0.1);
  return {window.left - margin, window.right + margin, window.bottom - room, window.top + room};
}

void draw_curve(PlotCanvas& canvas, const SizeCurve& curve, std::size_t index) {
  std::vector<PLFLT> x;
  std::vector<PLFLT> y;
  for (const SizePoint& point : curve.points) {
    x.push_back(point.size);
    y.push_back(std::log10(point.damage));
  }
  plcol0(palette_colour(index));
  plwidth(2.0);
  plline(static_cast<PLINT>(x.size()), x.data(), y.data());
  plwidth(1.0);
  for (std::size_t i = 0; i < x.size(); ++i) canvas.dot(x[i], y[i], 4.0, true);
  plcol0(kBlack);
}

/// The names at the upper right, which no curve of falling damage reaches.
void draw_key(PlotCanvas& canvas, std::span<const SizeCurve> curves) {
  canvas.enter(kBox, {0.0, kBox.right - kBox.left, kBox.bottom - kBox.top, 0.0});
  canvas.font(13);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const double y = 24.0 + 24.0 * static_cast<double>(i);
    canvas.rectangle({640.0, 656.0, y - 6.0, y + 6.0}, palette_colour(i));
    canvas.text(666.0, y, 0.0, curves[i].name, 30);
  }
}

}  // namespace

std::string damage_vs_size_png(std::span<const SizeCurve> curves, const std::string& size,
                               const std::string& title) {
  PlotCanvas canvas(1040, 680);
  canvas.enter(kBox, window_of(curves));
  canvas.font(13);
  plbox("bcgnst", 0.0, 0, "bcglnstv", 0.0, 0);
  canvas.axis_titles(size, "predicted damage, nats a token");
  canvas.font(15);
  canvas.title(title);
  for (std::size_t i = 0; i < curves.size(); ++i) draw_curve(canvas, curves[i], i);
  draw_key(canvas, curves);
  return canvas.finish();
}

}  // namespace sgpt_mi::plots
