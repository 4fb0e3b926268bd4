#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::recorder {

/// Text for the page: control characters and broken UTF-8 made visible, markup escaped.
[[nodiscard]] std::string escaped(std::string_view text);

/// A linear in a tooltip: "block 3, q_proj".
[[nodiscard]] std::string linear_text(const report::LayerPlace& place);

/// A figure for people: three digits, or a whole number up to a million; "1.23e+07" beyond.
[[nodiscard]] std::string figure(double value);

/// The same with two digits, which fits into a cell.
[[nodiscard]] std::string short_figure(double value);

/// Sequential colours: the more, the worse, or neither.
enum class Shade { kWorse, kNeutral };

/// "#rrggbb" at a place of the scale, 0 to 1.
[[nodiscard]] std::string colour(Shade shade, double share);

/// A colour of a category; repeats after eight. They stay distinct for colour-blind readers.
[[nodiscard]] std::string category_colour(std::size_t category);

/// A rectangle by its upper left corner, in the units of the picture.
struct Box {
  double x = 0.0;
  double y = 0.0;
  double width = 0.0;
  double height = 0.0;
};

/// A picture in the making, in pixels from its upper left corner. Texts and tips are escaped.
class Svg {
 public:
  /// `label`: what a screen reader says.
  Svg(double width, double height, std::string_view label);

  /// `css`: further attributes, such as a class.
  void rectangle(const Box& box, std::string_view fill, std::string_view tip = "",
                 std::string_view css = "");
  void dot(double x, double y, double radius, std::string_view fill, std::string_view tip);
  void line(double x1, double y1, double x2, double y2, std::string_view css);
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view stroke);
  /// `anchor`: start, middle or end.
  void text(double x, double y, std::string_view anchor, std::string_view text,
            std::string_view css = "");

  [[nodiscard]] std::string finish() const { return markup_ + "</svg>\n"; }

 private:
  std::string markup_;
};

/// A picture of the page, or why there is none.
struct Figure {
  std::string id;
  std::string title;
  std::string note;    ///< one or two sentences: what is drawn, in which unit
  std::string svg;     ///< empty: there is nothing to draw
  std::string absent;  ///< then: why
};

}  // namespace sgpt_mi::recorder
