#include <plplot.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "plot_canvas.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/plots/plots.h"

namespace sgpt_mi::plots {
namespace {

constexpr Box kBox{90.0, 60.0, 990.0, 610.0};
constexpr double kMegabyte = 1e6;

}  // namespace

std::string damage_vs_bytes_png(std::span<const SizePoint> points, const std::string& title) {
  ensure(!points.empty(), "plots: a picture of no sizes");
  std::vector<PLFLT> x;
  std::vector<PLFLT> y;
  for (const SizePoint& point : points) {
    ensure(std::isfinite(point.damage) && point.damage > 0.0, "plots: a damage without logarithm");
    x.push_back(static_cast<double>(point.bytes) / kMegabyte);
    y.push_back(std::log10(point.damage));
  }
  const auto [left, right] = std::minmax_element(x.begin(), x.end());
  const auto [bottom, top] = std::minmax_element(y.begin(), y.end());
  const double margin = std::max(0.05 * (*right - *left), 0.1);
  const double room = std::max(0.05 * (*top - *bottom), 0.1);
  PlotCanvas canvas(1040, 680);
  canvas.enter(kBox, {*left - margin, *right + margin, *bottom - room, *top + room});
  canvas.font(13);
  plbox("bcgnst", 0.0, 0, "bcglnstv", 0.0, 0);
  canvas.axis_titles("file size, MB", "predicted damage, nats a token");
  canvas.font(15);
  canvas.title(title);
  plcol0(palette_colour(0));
  plwidth(2.0);
  plline(static_cast<PLINT>(x.size()), x.data(), y.data());
  plwidth(1.0);
  for (std::size_t i = 0; i < x.size(); ++i) canvas.dot(x[i], y[i], 4.0, true);
  plcol0(kBlack);
  return canvas.finish();
}

}  // namespace sgpt_mi::plots
