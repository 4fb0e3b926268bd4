#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::plots {

/// Ratio of the largest to the smallest value from which a logarithmic axis reads better.
inline constexpr double kWideRatio = 20.0;

/// Colours by index. From kPalette on: colours that stay distinct for colour-blind readers.
enum Colour : int { kWhite = 0, kBlack = 1, kGrey = 2, kLightGrey = 3, kPalette = 4 };
constexpr int kPaletteSize = 9;

/// The palette's colour of a category; repeats after kPaletteSize.
[[nodiscard]] int palette_colour(std::size_t category);

/// A continuous colour scale.
enum class Scale { kViridis, kGreys };

/// A rectangle of the picture in pixels from its upper left corner.
struct Box {
  double left = 0.0;
  double top = 0.0;
  double right = 0.0;
  double bottom = 0.0;
};

/// World coordinates of the edges of a box; left > right or bottom > top turn the axis round.
struct Window {
  double left = 0.0;
  double right = 1.0;
  double bottom = 0.0;
  double top = 1.0;
};

/// A picture while PLplot draws it into memory: the stream, its colours and its errors. Between
/// construction and destruction the plain PLplot calls (plline, plbox, ...) draw into it. PLplot
/// has one global state: a second canvas waits for the first one's end.
class PlotCanvas {
 public:
  /// A white picture. Throws Error(kInput) when PLplot's driver is missing.
  PlotCanvas(int width, int height);
  ~PlotCanvas();
  PlotCanvas(const PlotCanvas&) = delete;
  PlotCanvas& operator=(const PlotCanvas&) = delete;

  /// Draws into this box with these coordinates from now on, in black, with lines of one pixel.
  void enter(const Box& box, const Window& window);
  /// Font size in pixels.
  void font(double pixels);
  /// Colours of plimage().
  void scale(Scale scale);
  /// Text with its left edge, centre or right edge (justify 0, 0.5, 1) at a point of the window,
  /// vertically centred; cut to `limit` characters.
  void text(double x, double y, double justify, std::string_view text, std::size_t limit = 100);
  /// A filled rectangle of the window; opacity 0 to 1.
  void rectangle(const Window& extent, int colour, double opacity = 1.0);
  /// A disc, or a circle, of so many pixels around a point of the window.
  void dot(double x, double y, double radius, bool filled);
  /// So many pixels to the right, and upwards, in coordinates of the window.
  [[nodiscard]] double across(double pixels) const;
  [[nodiscard]] double up(double pixels) const;
  /// A title over the box that was entered last.
  void title(std::string_view text);
  /// The names of the axes of that box, with units.
  void axis_titles(std::string_view x, std::string_view y);

  /// Ends the drawing. The PNG file's bytes. Throws Error(kInternal) when PLplot refused a call.
  [[nodiscard]] std::string finish();

 private:
  void end();

  std::unique_lock<std::mutex> lock_;
  int width_;
  int height_;
  std::vector<unsigned char> pixels_;  ///< (height, width, 3) uint8, RGB
  Box box_;
  Window window_;
  bool open_ = false;
};

/// Text that PLplot prints as it is: its escape character doubled, control characters and bytes
/// that are not UTF-8 replaced by "?", cut to `limit` characters with an ellipsis.
[[nodiscard]] std::string plot_text(std::string_view text, std::size_t limit = 100);

}  // namespace sgpt_mi::plots
