#include "plot_canvas.h"

#include <plplot.h>
#include <png.h>
#include <utf8proc.h>

#include <array>
#include <cmath>
#include <cstring>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::plots {
namespace {

constexpr const char* kDevice = "memcairo";  // cairo into a buffer of ours: no file, no display
constexpr double kDotsPerInch = 90.0;

/// Guards PLplot's global state and `refusal`.
std::mutex& plplot_mutex() {
  static std::mutex mutex;
  return mutex;
}

/// What PLplot said when it refused a call; it goes on drawing then.
std::string& refusal() {
  static std::string message;
  return message;
}

void on_abort(const char* message) { refusal() = message; }

/// PLplot ends the program when this handler returns.
int on_exit(const char* message) {
  fail(ErrorKind::kInternal, "report: PLplot stopped: {}; this is a bug, please report it",
       message);
}

/// PLplot asks on standard input for another device when it lacks the one that is named.
bool has_device() {
  std::array<const char*, 64> names{};
  std::array<const char*, 64> descriptions{};
  const char** name = names.data();
  const char** description = descriptions.data();
  PLINT count = static_cast<PLINT>(names.size());
  plgDevs(&description, &name, &count);
  for (PLINT i = 0; i < count; ++i) {
    if (std::strcmp(names[static_cast<std::size_t>(i)], kDevice) == 0) return true;
  }
  return false;
}

struct Rgb {
  int red, green, blue;
};

// White, black, two greys, then Okabe and Ito's palette (Color Universal Design, 2008) with its
// yellow darkened to be seen on white, and a brown.
constexpr std::array<Rgb, kPalette + kPaletteSize> kColours{{{255, 255, 255},
                                                             {27, 31, 36},
                                                             {110, 118, 129},
                                                             {225, 228, 232},
                                                             {0, 114, 178},
                                                             {213, 94, 0},
                                                             {0, 158, 115},
                                                             {204, 121, 167},
                                                             {230, 159, 0},
                                                             {86, 180, 233},
                                                             {122, 81, 54},
                                                             {190, 180, 30},
                                                             {90, 60, 150}}};

void set_colours() {
  plscmap0n(static_cast<PLINT>(kColours.size()));
  for (std::size_t i = 0; i < kColours.size(); ++i) {
    plscol0(static_cast<PLINT>(i), kColours[i].red, kColours[i].green, kColours[i].blue);
  }
}

/// A scale from equally spaced colours, interpolated linearly.
template <std::size_t kCount>
void set_scale(const std::array<Rgb, kCount>& colours) {
  std::array<PLFLT, kCount> at{};
  std::array<PLFLT, kCount> red{};
  std::array<PLFLT, kCount> green{};
  std::array<PLFLT, kCount> blue{};
  for (std::size_t i = 0; i < kCount; ++i) {
    at[i] = static_cast<double>(i) / static_cast<double>(kCount - 1);
    red[i] = colours[i].red / 255.0;
    green[i] = colours[i].green / 255.0;
    blue[i] = colours[i].blue / 255.0;
  }
  plscmap1n(256);
  plscmap1l(1, static_cast<PLINT>(kCount), at.data(), red.data(), green.data(), blue.data(),
            nullptr);
}

std::string encode_png(const std::vector<unsigned char>& pixels, int width, int height) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string png(bytes, '\0');
  if (png_image_write_to_memory(&image, png.data(), &bytes, 0, pixels.data(), 0, nullptr) == 0) {
    fail(ErrorKind::kInternal, "report: libpng could not encode a picture of {} x {}: {}", width,
         height, image.message);
  }
  png.resize(bytes);
  return png;
}

}  // namespace

int palette_colour(std::size_t category) {
  return kPalette + static_cast<int>(category % kPaletteSize);
}

PlotCanvas::PlotCanvas(int width, int height)
    : lock_(plplot_mutex()),
      width_(width),
      height_(height),
      pixels_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, 255) {
  refusal().clear();
  plsabort(on_abort);
  plsexit(on_exit);
  if (!has_device()) {
    fail(ErrorKind::kInput,
         "report: PLplot has no device '{}'; expected its cairo driver; install the package "
         "plplot-driver-cairo, or leave the plots out",
         kDevice);
  }
  plsdev(kDevice);
  plsmem(width, height, pixels_.data());
  plspage(kDotsPerInch, kDotsPerInch, width, height, 0, 0);
  set_colours();
  open_ = true;
  try {
    plinit();
    pladv(0);
  } catch (...) {
    end();
    throw;
  }
}

PlotCanvas::~PlotCanvas() { end(); }

void PlotCanvas::end() {
  if (open_) plend1();
  open_ = false;
}

void PlotCanvas::enter(const Box& box, const Window& window) {
  plvpor(box.left / width_, box.right / width_, 1.0 - box.bottom / height_,
         1.0 - box.top / height_);
  plwind(window.left, window.right, window.bottom, window.top);
  box_ = box;
  window_ = window;
  plcol0(kBlack);
  plwidth(1.0);
}

void PlotCanvas::font(double pixels) {
  constexpr double kMillimetresPerInch = 25.4;
  plschr(pixels / kDotsPerInch * kMillimetresPerInch, 1.0);
}

void PlotCanvas::scale(Scale scale) {
  // Viridis (matplotlib, CC0) at nine equally spaced points.
  constexpr std::array<Rgb, 9> kViridis{{{68, 1, 84},
                                         {71, 44, 122},
                                         {59, 81, 139},
                                         {44, 113, 142},
                                         {33, 144, 141},
                                         {39, 173, 129},
                                         {92, 200, 99},
                                         {170, 220, 50},
                                         {253, 231, 37}}};
  constexpr std::array<Rgb, 2> kGreys{{{250, 250, 250}, {60, 60, 60}}};
  if (scale == Scale::kViridis) {
    set_scale(kViridis);
  } else {
    set_scale(kGreys);
  }
}

void PlotCanvas::text(double x, double y, double justify, std::string_view text,
                      std::size_t limit) {
  plptex(x, y, 1.0, 0.0, justify, plot_text(text, limit).c_str());
}

void PlotCanvas::rectangle(const Window& extent, int colour, double opacity) {
  const std::array<PLFLT, 4> x{extent.left, extent.right, extent.right, extent.left};
  const std::array<PLFLT, 4> y{extent.bottom, extent.bottom, extent.top, extent.top};
  const Rgb& rgb = kColours[static_cast<std::size_t>(colour)];
  plscol0a(colour, rgb.red, rgb.green, rgb.blue, opacity);
  plcol0(colour);
  plfill(4, x.data(), y.data());
  plscol0a(colour, rgb.red, rgb.green, rgb.blue, 1.0);
  plcol0(kBlack);
}

void PlotCanvas::dot(double x, double y, double radius, bool filled) {
  plarc(x, y, std::abs(across(radius)), std::abs(up(radius)), 0.0, 360.0, 0.0, filled ? 1 : 0);
}

double PlotCanvas::across(double pixels) const {
  return pixels * (window_.right - window_.left) / (box_.right - box_.left);
}

double PlotCanvas::up(double pixels) const {
  return pixels * (window_.top - window_.bottom) / (box_.bottom - box_.top);
}

void PlotCanvas::title(std::string_view text) {
  plmtex("t", 1.8, 0.5, 0.5, plot_text(text).c_str());
}

void PlotCanvas::axis_titles(std::string_view x, std::string_view y) {
  plmtex("b", 3.4, 0.5, 0.5, plot_text(x).c_str());
  plmtex("l", 4.2, 0.5, 0.5, plot_text(y).c_str());
}

std::string PlotCanvas::finish() {
  end();
  if (!refusal().empty()) {
    fail(ErrorKind::kInternal, "report: PLplot refused a call: {}; this is a bug, please report it",
         refusal());
  }
  return encode_png(pixels_, width_, height_);
}

std::string plot_text(std::string_view text, std::size_t limit) {
  std::string result;
  std::size_t characters = 0;
  while (!text.empty()) {
    if (characters++ == limit) return result + "…";
    utf8proc_int32_t code = -1;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
    const auto length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &code);
    const std::size_t used = length < 1 ? 1 : static_cast<std::size_t>(length);
    const bool printable = length > 0 && code >= 0x20 && (code < 0x7F || code > 0x9F);
    if (text.front() == '#') {
      result += "##";
    } else {
      result += printable ? text.substr(0, used) : "?";
    }
    text.remove_prefix(used);
  }
  return result;
}

}  // namespace sgpt_mi::plots
