#include "svg.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/report/document.h"

namespace sgpt_mi::recorder {
namespace {

using Rgb = std::array<double, 3>;

// Both begin pale and end dark (ColorBrewer's OrRd and Blues).
constexpr std::array<Rgb, 5> kWorse{
    {{255, 247, 236}, {253, 212, 158}, {252, 141, 89}, {215, 48, 31}, {127, 0, 0}}};
constexpr std::array<Rgb, 5> kNeutral{
    {{240, 246, 252}, {198, 219, 239}, {107, 174, 214}, {33, 113, 181}, {8, 48, 107}}};

constexpr std::array<const char*, 8> kCategories{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#5b5b5b", "#8a6d00"};

std::string title(std::string_view tip) {
  return tip.empty() ? "" : "<title>" + escaped(tip) + "</title>";
}

std::string shape(const std::string& tag, const std::string& attributes, std::string_view tip) {
  if (tip.empty()) return "<" + tag + " " + attributes + "/>\n";
  return "<" + tag + " " + attributes + ">" + title(tip) + "</" + tag + ">\n";
}

/// A coordinate to a tenth of a pixel, without needless zeros.
std::string place(double pixels) { return fmt::format("{:g}", std::round(10.0 * pixels) / 10.0); }

std::string with_digits(double value, int digits) {
  const double size = std::abs(value);
  if (size >= 99.5 && size < 1e6) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}g}", value, digits);
}

}  // namespace

std::string escaped(std::string_view text) { return report::escape_html(printable(text)); }

std::string linear_text(const report::LayerPlace& place) {
  return fmt::format("block {}, {}", place.block, place.kind);
}

std::string figure(double value) { return with_digits(value, 3); }

std::string short_figure(double value) { return with_digits(value, 2); }

std::string colour(Shade shade, double share) {
  const std::array<Rgb, 5>& stops = shade == Shade::kWorse ? kWorse : kNeutral;
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(stops.size() - 1);
  const std::size_t first = std::min(static_cast<std::size_t>(at), stops.size() - 2);
  const double part = at - static_cast<double>(first);
  std::array<int, 3> mixed{};
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    mixed[i] =
        static_cast<int>(std::lround((1.0 - part) * stops[first][i] + part * stops[first + 1][i]));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2]);
}

std::string category_colour(std::size_t category) {
  return kCategories[category % kCategories.size()];
}

Svg::Svg(double width, double height, std::string_view label)
    : markup_(
          fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{}\" "
                      "viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\">\n",
                      escaped(label), place(width), place(height), place(width), place(height))) {}

void Svg::rectangle(const Box& box, std::string_view fill, std::string_view tip,
                    std::string_view css) {
  markup_ += shape("rect",
                   fmt::format("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"{}{}",
                               place(box.x), place(box.y), place(box.width), place(box.height),
                               fill, css.empty() ? "" : " ", css),
                   tip);
}

void Svg::dot(double x, double y, double radius, std::string_view fill, std::string_view tip) {
  markup_ += shape("circle",
                   fmt::format("cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" fill-opacity=\"0.8\"",
                               place(x), place(y), place(radius), fill),
                   tip);
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css) {
  markup_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", place(x1),
                         place(y1), place(x2), place(y2), css);
}

void Svg::polyline(const std::vector<std::pair<double, double>>& points, std::string_view stroke) {
  std::string list;
  for (const auto& [x, y] : points) list += place(x) + "," + place(y) + " ";
  markup_ += fmt::format(
      "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n", list, stroke);
}

void Svg::text(double x, double y, std::string_view anchor, std::string_view text,
               std::string_view css) {
  markup_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\"{}{}>{}</text>\n", place(x),
                         place(y), anchor, css.empty() ? "" : " ", css, escaped(text));
}

}  // namespace sgpt_mi::recorder
