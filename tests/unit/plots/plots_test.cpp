#include "sgpt_mi/plots/plots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <thread>

#include "plots/plot_canvas.h"
#include "sgpt_mi/core/error.h"

/// Read by the leak sanitizer. Fontconfig keeps its font lists until the process ends.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig\n"; }

namespace sgpt_mi::plots {
namespace {

using Rgb = std::array<int, 3>;

/// A decoded picture.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<unsigned char> pixels;

  [[nodiscard]] Rgb at(int x, int y) const {
    const auto start = static_cast<std::size_t>(y * width + x) * 3;
    return {pixels[start], pixels[start + 1], pixels[start + 2]};
  }
  [[nodiscard]] std::size_t colours() const {
    std::set<Rgb> seen;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) seen.insert(at(x, y));
    }
    return seen.size();
  }
  /// Whether the outermost pixels are all white: nothing is cut off.
  [[nodiscard]] bool has_white_edge() const {
    const Rgb white{255, 255, 255};
    for (int x = 0; x < width; ++x) {
      if (at(x, 0) != white || at(x, height - 1) != white) return false;
    }
    for (int y = 0; y < height; ++y) {
      if (at(0, y) != white || at(width - 1, y) != white) return false;
    }
    return true;
  }
};

Image decode(const std::string& png) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&header, png.data(), png.size()) == 0) {
    ADD_FAILURE() << "not a PNG file: " << header.message;
    return {};
  }
  header.format = PNG_FORMAT_RGB;
  Image image;
  image.width = static_cast<int>(header.width);
  image.height = static_cast<int>(header.height);
  image.pixels.resize(PNG_IMAGE_SIZE(header));
  EXPECT_NE(png_image_finish_read(&header, nullptr, image.pixels.data(), 0, nullptr), 0);
  return image;
}

/// Four channels in two groups that take turns: strongly related inside, not at all across.
struct TwoGroups {
  std::vector<float> values{0.0F, 0.0F, 0.8F, 0.0F, 0.0F, 0.0F, 0.0F, 0.8F,
                            0.8F, 0.0F, 0.0F, 0.0F, 0.0F, 0.8F, 0.0F, 0.0F};
  std::vector<std::int64_t> labels{0, 1, 0, 1};

  [[nodiscard]] GroupedMatrix matrix() const {
    return {"layers.0.q_proj", "normalised MI", 4, values, labels};
  }
};

/// The centre of a cell of a 4 x 4 matrix, whose box is 600 pixels wide from (90, 90) on.
Rgb cell(const Image& image, int row, int column) {
  return image.at(90 + 75 + 150 * column, 90 + 75 + 150 * row);
}

constexpr Rgb kLowest{68, 1, 84};  // of viridis
constexpr Rgb kHighest{253, 231, 37};
constexpr Rgb kWhitePixel{255, 255, 255};

TEST(MiMatrixPng, OrdersByGroupAndLeavesTheDiagonalWhite) {
  const TwoGroups groups;
  const Image image = decode(mi_matrix_png(groups.matrix()));
  EXPECT_EQ(image.width, 840);
  EXPECT_EQ(image.height, 760);
  EXPECT_TRUE(image.has_white_edge());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(cell(image, i, i), kWhitePixel) << i;
  EXPECT_EQ(cell(image, 0, 1), kHighest);
  EXPECT_EQ(cell(image, 3, 2), kHighest);
  EXPECT_EQ(cell(image, 0, 2), kLowest);
  EXPECT_EQ(cell(image, 3, 1), kLowest);
}

TEST(MiMatrixPng, TheColourBarRunsFromLowToHigh) {
  const TwoGroups groups;
  const Image image = decode(mi_matrix_png(groups.matrix()));
  EXPECT_EQ(image.at(728, 688), kLowest);
  // The last of 256 steps ends a half step below the scale's end.
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(image.at(728, 92)[i], kHighest[i], 2) << i;
}

TEST(MiMatrixPng, AveragesLargeMatricesDown) {
  constexpr std::int64_t kChannels = 1200;
  const std::vector<float> values(static_cast<std::size_t>(kChannels * kChannels), 0.5F);
  const std::vector<std::int64_t> labels(kChannels, 0);
  const Image image = decode(mi_matrix_png({"a", "nats", kChannels, values, labels}));
  EXPECT_EQ(image.width, 840);
  // Equal values everywhere: each cell has the scale's end, on the diagonal too, where a cell holds
  // pairs of different channels besides.
  EXPECT_EQ(image.at(390, 390), kHighest);
  EXPECT_EQ(image.at(300, 500), kHighest);
}

TEST(MiMatrixPng, DrawsOneChannelAndNoRelation) {
  const std::vector<float> zeros(9, 0.0F);
  const std::vector<std::int64_t> labels{0, 0, 0};
  EXPECT_GT(decode(mi_matrix_png({"", "nats", 3, zeros, labels})).colours(), 2U);
  const Image one = decode(
      mi_matrix_png({"one", "nats", 1, std::span(zeros).first(1), std::span(labels).first(1)}));
  EXPECT_EQ(one.at(390, 390), kWhitePixel);
}

TEST(MiMatrixPng, RefusesWhatIsNotAMatrix) {
  TwoGroups groups;
  groups.labels.pop_back();
  EXPECT_THROW(static_cast<void>(mi_matrix_png(groups.matrix())), Error);
  groups.labels.push_back(-1);
  EXPECT_THROW(static_cast<void>(mi_matrix_png(groups.matrix())), Error);
  groups.labels.back() = 1;
  groups.values[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(static_cast<void>(mi_matrix_png(groups.matrix())), Error);
}

TEST(GroupingResultPng, ColoursBlocksByWidth) {
  const TwoGroups groups;
  const Image image = decode(grouping_result_png(groups.matrix(), std::array{2, 4}));
  EXPECT_EQ(image.width, 1040);
  EXPECT_TRUE(image.has_white_edge());
  EXPECT_NE(cell(image, 0, 1), cell(image, 2, 3));  // two widths
  const Rgb outside = cell(image, 0, 3);
  EXPECT_EQ(outside[0], outside[1]);  // grey
  const Image same = decode(grouping_result_png(groups.matrix(), std::array{4, 4}));
  EXPECT_EQ(cell(same, 0, 1), cell(same, 2, 3));
  EXPECT_THROW(static_cast<void>(grouping_result_png(groups.matrix(), std::array{4})), Error);
}

std::vector<report::LayerReport> layers(int blocks) {
  std::vector<report::LayerReport> result;
  for (int block = 0; block < blocks; ++block) {
    for (const char* kind : {"self_attn.q_proj", "fc1"}) {
      report::LayerReport layer;
      layer.name = "model.decoder.layers." + std::to_string(block) + "." + kind;
      layer.average_bits = 2.0 + block % 3;
      layer.loss = std::pow(10.0, block % 5);
      result.push_back(layer);
    }
  }
  return result;
}

TEST(LayerPlots, GrowWithTheNumberOfBlocks) {
  for (const auto& draw : {bits_per_layer_png, loss_per_layer_png}) {
    const Image few = decode(draw(layers(2)));
    const Image many = decode(draw(layers(40)));
    EXPECT_EQ(few.width, 980);
    EXPECT_EQ(many.width, 40 * 36 + 280);
    EXPECT_TRUE(few.has_white_edge());
    EXPECT_TRUE(many.has_white_edge());
    EXPECT_GT(few.colours(), 5U);
  }
}

TEST(LayerPlots, BarsReachTheirBits) {
  std::vector<report::LayerReport> one = layers(1);
  one.resize(1);
  const Image image = decode(bits_per_layer_png(one));
  // The only bar spans the middle; the axis ends 8 % above it. The box: 60 to 500 pixels.
  const Rgb bar{0, 114, 178};
  EXPECT_EQ(image.at(300, 480), bar);
  EXPECT_EQ(image.at(300, 60 + 440 * 8 / 108 + 4), bar);
  EXPECT_NE(image.at(300, 60 + 440 * 8 / 108 - 4), bar);
}

TEST(LayerPlots, TakeZeroLossesAndOddNames) {
  std::vector<report::LayerReport> odd = layers(3);
  odd[0].loss = 0.0;
  odd[1].name = "no number";
  odd[2].name = "";
  EXPECT_GT(decode(loss_per_layer_png(odd)).colours(), 5U);
  for (report::LayerReport& layer : odd) layer.loss = layer.average_bits = 0.0;
  EXPECT_TRUE(decode(loss_per_layer_png(odd)).has_white_edge());
  EXPECT_TRUE(decode(bits_per_layer_png(odd)).has_white_edge());
  EXPECT_THROW(static_cast<void>(bits_per_layer_png({})), Error);
}

constexpr Rgb kGreyPixel{110, 118, 129};
constexpr Rgb kOwnColour{0, 114, 178};
constexpr Rgb kSecondColour{213, 94, 0};

TEST(TradeoffPng, DrawsFewAndManyPoints) {
  const TradeoffAxes axes{"bits", "perplexity"};
  std::vector<report::TradeoffPoint> points{{"one", 4.0, 30.0, 0.0}};
  EXPECT_TRUE(decode(tradeoff_png(points, axes, "one")).has_white_edge());
  for (int i = 0; i < 60; ++i) {
    points.push_back({std::string(80, 'w'), 2.0 + 0.1 * i, 30.0 + 1000.0 / (1.0 + i), 2.0});
  }
  const Image many = decode(tradeoff_png(points, axes, "many"));
  EXPECT_EQ(many.width, 1200);
  EXPECT_TRUE(many.has_white_edge());
  points[0].cost = 0.0;
  EXPECT_THROW(static_cast<void>(tradeoff_png(points, axes, "")), Error);
  EXPECT_THROW(static_cast<void>(tradeoff_png({}, axes, "")), Error);
}

TEST(TradeoffPng, PointsFromElsewhereAreGreyAndNeverOnTheFront) {
  std::vector<report::TradeoffPoint> points{{"ours", 2.0, 3.0, 0.0}, {"theirs", 1.0, 1.0, 0.0}};
  const Image all_ours = decode(tradeoff_png(points, {"MB", "KL"}, "m"));
  points[1].beside = true;
  const Image beside = decode(tradeoff_png(points, {"MB", "KL"}, "m"));
  // The better point at the lower left, 8 % inside of the box of 700 x 550 pixels from (90, 60) on;
  // the other one at the upper right.
  const double share = 0.08 / 1.16;
  const int left = 90 + static_cast<int>(700 * share);
  const int low = 610 - static_cast<int>(550 * share);
  const int right = 790 - static_cast<int>(700 * share);
  const int high = 60 + static_cast<int>(550 * share);
  EXPECT_EQ(all_ours.at(left, low), kSecondColour);
  EXPECT_EQ(all_ours.at(right, high), kWhitePixel);  // beaten: a circle
  EXPECT_EQ(beside.at(left, low), kGreyPixel);
  EXPECT_EQ(beside.at(right, high), kSecondColour);
}

TEST(DamageVsSizePng, DrawsACurveEach) {
  const std::vector<SizeCurve> curves{{"low", {{1.0, 1.0}, {3.0, 0.01}}},
                                      {"high", {{1.0, 10.0}, {3.0, 0.1}}}};
  const Image image = decode(damage_vs_size_png(curves, "bits", "Damage"));
  EXPECT_EQ(image.width, 1040);
  EXPECT_TRUE(image.has_white_edge());
  // 5 % margins around 3 decades and 2 bits in a box of 900 x 550 pixels from (90, 60) on.
  const int left = 90 + static_cast<int>(900 * 0.05 / 1.1);
  const auto y = [](double log10) { return 610 - static_cast<int>(550 * (log10 + 2.15) / 3.3); };
  EXPECT_EQ(image.at(left, y(0.0)), kOwnColour);
  EXPECT_EQ(image.at(left, y(1.0)), kSecondColour);
  EXPECT_NE(decode(damage_vs_size_png({&curves[0], 1}, "bits", "Damage")).at(left, y(1.0)),
            kSecondColour);
  EXPECT_THROW(static_cast<void>(damage_vs_size_png({}, "", "")), Error);
  const std::vector<SizeCurve> none{{"none", {{1.0, 0.0}}}};
  EXPECT_THROW(static_cast<void>(damage_vs_size_png(none, "", "")), Error);
}

TEST(Plots, AreReproducibleAndSafeFromThreads) {
  const TwoGroups groups;
  const std::string expected = mi_matrix_png(groups.matrix());
  std::array<std::string, 4> drawn;
  {
    std::vector<std::jthread> threads;
    for (std::string& png : drawn) {
      threads.emplace_back([&] { png = mi_matrix_png(groups.matrix()); });
    }
  }
  EXPECT_THAT(drawn, testing::Each(expected));
}

TEST(PlotText, IsPrintedAsItIs) {
  EXPECT_EQ(plot_text("a#b"), "a##b");
  EXPECT_EQ(plot_text("± é"), "± é");
  EXPECT_EQ(plot_text("a\nb\xff"), "a?b?");
  EXPECT_EQ(plot_text("abcdef", 3), "abc…");
  EXPECT_EQ(plot_text("abc", 3), "abc");
}

}  // namespace
}  // namespace sgpt_mi::plots
