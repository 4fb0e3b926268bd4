#include <plplot.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "plot_canvas.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/plots/plots.h"
#include "sgpt_mi/report/pareto.h"

namespace sgpt_mi::plots {
namespace {

constexpr std::size_t kMostNumbered = 24;  // points that a key of this height can name
constexpr Box kPlotBox{90.0, 60.0, 790.0, 610.0};

/// The points with the front and the scale of the picture.
struct Tradeoff {
  std::span<const report::TradeoffPoint> points;
  std::vector<std::size_t> front;
  std::vector<bool> on_front;
  bool logarithmic = false;
  Window window;

  /// Position on the y axis.
  [[nodiscard]] double y(double cost) const { return logarithmic ? std::log10(cost) : cost; }
  /// The lower end of an error bar, which a logarithm needs above 0.
  [[nodiscard]] double lower(const report::TradeoffPoint& point) const {
    return y(std::max(point.cost - point.error, logarithmic ? 0.01 * point.cost : 0.0));
  }
};

/// The range widened by a share on both sides; by one unit when it is a point.
void widen(double& low, double& high, double share) {
  const double margin = high > low ? share * (high - low) : std::max(0.05 * std::abs(low), 0.1);
  low -= margin;
  high += margin;
}

Tradeoff arrange(std::span<const report::TradeoffPoint> points) {
  ensure(!points.empty(), "report: a picture of no points");
  Tradeoff tradeoff;
  tradeoff.points = points;
  std::vector<double> sizes;
  std::vector<double> costs;
  std::vector<double> own;  // costs; nothing from elsewhere is on the front
  for (const report::TradeoffPoint& point : points) {
    ensure(std::isfinite(point.size) && std::isfinite(point.cost) && point.cost > 0.0 &&
               std::isfinite(point.error),
           "report: a point needs a finite size and a positive, finite cost");
    sizes.push_back(point.size);
    costs.push_back(point.cost);
    own.push_back(point.beside ? std::numeric_limits<double>::quiet_NaN() : point.cost);
  }
  tradeoff.front = report::pareto_front(sizes, own);
  tradeoff.on_front.assign(points.size(), false);
  for (const std::size_t i : tradeoff.front) tradeoff.on_front[i] = true;
  const auto [least, most] = std::minmax_element(costs.begin(), costs.end());
  tradeoff.logarithmic = *most > kWideRatio * *least;
  Window& window = tradeoff.window;
  window.left = *std::min_element(sizes.begin(), sizes.end());
  window.right = *std::max_element(sizes.begin(), sizes.end());
  window.bottom = tradeoff.lower(points.front());
  window.top = window.bottom;
  for (const report::TradeoffPoint& point : points) {
    window.bottom = std::min(window.bottom, tradeoff.lower(point));
    window.top = std::max(window.top, tradeoff.y(point.cost + point.error));
  }
  widen(window.left, window.right, 0.08);
  widen(window.bottom, window.top, 0.08);
  return tradeoff;
}

void draw_front(const Tradeoff& tradeoff) {
  std::vector<PLFLT> x;
  std::vector<PLFLT> y;
  for (const std::size_t i : tradeoff.front) {
    x.push_back(tradeoff.points[i].size);
    y.push_back(tradeoff.y(tradeoff.points[i].cost));
  }
  plcol0(palette_colour(1));
  plwidth(2.0);
  plline(static_cast<PLINT>(x.size()), x.data(), y.data());
  plwidth(1.0);
  plcol0(kBlack);
}

void draw_points(PlotCanvas& canvas, const Tradeoff& tradeoff) {
  for (std::size_t i = 0; i < tradeoff.points.size(); ++i) {
    const report::TradeoffPoint& point = tradeoff.points[i];
    const double y = tradeoff.y(point.cost);
    const double low = tradeoff.lower(point);
    const double high = tradeoff.y(point.cost + point.error);
    if (point.beside) {
      const double across = canvas.across(5.0);
      const double up = canvas.up(5.0);
      canvas.rectangle({point.size - across, point.size + across, y - up, y + up}, kGrey);
      continue;
    }
    plcol0(tradeoff.on_front[i] ? palette_colour(1) : palette_colour(0));
    if (point.error > 0.0) plerry(1, &point.size, &low, &high);
    canvas.dot(point.size, y, 5.0, tradeoff.on_front[i]);
  }
  plcol0(kBlack);
}

/// A number beside a point; the offset of its left edge in pixels, right and up.
struct Number {
  std::size_t point;
  double right;
  double up;
};

/// Whether the numbers of two points at these places overlap.
bool overlap(const PlotCanvas& canvas, const Tradeoff& tradeoff, const Number& a, const Number& b) {
  constexpr double kWidth = 18.0;  // pixels of two digits
  constexpr double kHeight = 13.0;
  const report::TradeoffPoint& first = tradeoff.points[a.point];
  const report::TradeoffPoint& second = tradeoff.points[b.point];
  const double x = (first.size - second.size) / canvas.across(1.0);
  const double y = (tradeoff.y(first.cost) - tradeoff.y(second.cost)) / canvas.up(1.0);
  return std::abs(x + a.right - b.right) < kWidth && std::abs(y + a.up - b.up) < kHeight;
}

/// The points that should get a number: all when they are few, else some of the front's and those
/// from elsewhere.
std::vector<std::size_t> candidates(const Tradeoff& tradeoff) {
  std::vector<std::size_t> chosen;
  if (tradeoff.points.size() <= kMostNumbered) {
    chosen.resize(tradeoff.points.size());
    std::iota(chosen.begin(), chosen.end(), 0U);
    return chosen;
  }
  std::vector<std::size_t> beside;
  for (std::size_t i = 0; i < tradeoff.points.size(); ++i) {
    if (tradeoff.points[i].beside) beside.push_back(i);
  }
  const std::size_t room = kMostNumbered - std::min(kMostNumbered - 1, beside.size());
  const std::size_t stride = (tradeoff.front.size() + room - 1) / room;
  for (std::size_t i = 0; i < tradeoff.front.size(); i += stride) {
    chosen.push_back(tradeoff.front[i]);
  }
  chosen.insert(chosen.end(), beside.begin(), beside.end());
  return chosen;
}

/// Gives numbers their places. Below and to the left of the front is no point; the others are
/// numbered above.
std::vector<Number> place_numbers(const PlotCanvas& canvas, const Tradeoff& tradeoff) {
  std::vector<Number> placed;
  for (const std::size_t i : candidates(tradeoff)) {
    std::array<Number, 4> places{
        {{i, -20.0, -11.0}, {i, 9.0, 10.0}, {i, -20.0, 10.0}, {i, 9.0, -11.0}}};
    if (!tradeoff.on_front[i]) std::swap(places[0], places[1]);
    const auto* const free =
        std::find_if(places.begin(), places.end(), [&](const Number& candidate) {
          return std::none_of(placed.begin(), placed.end(), [&](const Number& other) {
            return overlap(canvas, tradeoff, candidate, other);
          });
        });
    placed.push_back(free == places.end() ? places.front() : *free);
  }
  return placed;
}

void draw_numbers(PlotCanvas& canvas, const Tradeoff& tradeoff,
                  const std::vector<Number>& numbers) {
  canvas.font(13);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const report::TradeoffPoint& point = tradeoff.points[numbers[i].point];
    canvas.text(point.size + canvas.across(numbers[i].right),
                tradeoff.y(point.cost) + canvas.up(numbers[i].up), 0.0, std::to_string(i + 1));
  }
}

void draw_key(PlotCanvas& canvas, const Tradeoff& tradeoff, const std::vector<Number>& numbers) {
  const Box box{kPlotBox.right + 20.0, kPlotBox.top, 1190.0, 670.0};
  canvas.enter(box, {0.0, box.right - box.left, box.bottom - box.top, 0.0});
  canvas.font(13);
  plcol0(palette_colour(1));
  canvas.text(0.0, 8.0, 0.0, "● Pareto front");
  plcol0(palette_colour(0));
  canvas.text(150.0, 8.0, 0.0, "○ others");
  if (std::any_of(tradeoff.points.begin(), tradeoff.points.end(),
                  [](const report::TradeoffPoint& point) { return point.beside; })) {
    plcol0(kGrey);
    canvas.text(250.0, 8.0, 0.0, "■ not ours");
  }
  plcol0(kBlack);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    canvas.text(0.0, 36.0 + 23.0 * static_cast<double>(i), 0.0,
                fmt::format("{}  {}", i + 1, tradeoff.points[numbers[i].point].label), 50);
  }
}

}  // namespace

std::string tradeoff_png(std::span<const report::TradeoffPoint> points, const TradeoffAxes& axes,
                         const std::string& title) {
  const Tradeoff tradeoff = arrange(points);
  PlotCanvas canvas(1200, 680);
  canvas.enter(kPlotBox, tradeoff.window);
  canvas.font(13);
  plbox("bcnst", 0.0, 0, tradeoff.logarithmic ? "bclnstv" : "bcnstv", 0.0, 0);
  canvas.axis_titles(axes.size, axes.cost);
  canvas.font(15);
  canvas.title(title);
  draw_front(tradeoff);
  draw_points(canvas, tradeoff);
  const std::vector<Number> numbers = place_numbers(canvas, tradeoff);
  draw_numbers(canvas, tradeoff, numbers);
  draw_key(canvas, tradeoff, numbers);
  return canvas.finish();
}

}  // namespace sgpt_mi::plots
