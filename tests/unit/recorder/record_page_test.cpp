#include "sgpt_mi/recorder/record_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "example_layers.h"

namespace sgpt_mi::recorder {
namespace {

using report::LayerReport;
using report::RunReport;
using testing::HasSubstr;
using testing::Not;

constexpr std::array<const char*, 13> kFigures{
    "output-error",     "damping",     "condition", "dead-channels", "massive-channels",
    "activation-range", "stored-bits", "sparsity",  "seconds",       "stream-gap",
    "damage",           "stages",      "parts"};

RunReport usual_run() {
  RunReport report;
  report.model.path = "some/model";
  report.command = {"sgpt-mi", "compress", "<model>"};
  report.method = "rd";
  report.layers = usual_layers(3);
  report.totals = sum_layers(report.layers, 1000);
  report.totals->bytes_by_part = {{"codes", 600}, {"dense", 400}};
  report.timings = {{"total", 2.0}, {"obs", 1.0}};
  return report;
}

/// The markup of one picture.
std::string figure_of(const std::string& page, const std::string& id) {
  const std::size_t begin = page.find("<figure id=\"" + id + "\">");
  if (begin == std::string::npos) return "";
  return page.substr(begin, page.find("</figure>", begin) - begin);
}

/// Whether a page has a text; a page is too long for messages.
bool has(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(RecordPage, DrawsEveryPicture) {
  const RunReport report = usual_run();
  const std::string page = record_page({report, 6, ""});
  for (const char* id : kFigures) {
    EXPECT_THAT(figure_of(page, id), HasSubstr("</svg>")) << id;
  }
  EXPECT_EQ(count(page, "<figure "), kFigures.size());
  EXPECT_EQ(count(figure_of(page, "output-error"), "<title>"), report.layers.size());
  EXPECT_EQ(count(figure_of(page, "damage"), "<circle"), report.layers.size());
  EXPECT_EQ(count(figure_of(page, "parts"), "class=\"bar\""), 2U);
  EXPECT_TRUE(has(page, "<title>block 2, fc1: 0.0102</title>"));
  EXPECT_TRUE(has(page, "The run finished."));
  EXPECT_TRUE(has(page, "6 linears were compressed"));
}

TEST(RecordPage, NeedsNothingElse) {
  const RunReport report = usual_run();
  const std::string page = record_page({report, 6, ""});
  for (const char* foreign : {"<script", "src=", "href=", "url(", "@import", "javascript:"}) {
    EXPECT_FALSE(has(page, foreign));
  }
  EXPECT_TRUE(has(page, "&lt;model&gt;"));
  EXPECT_FALSE(has(page, "<model>"));
}

TEST(RecordPage, SaysWhyAPictureIsMissing) {
  RunReport report = usual_run();
  for (LayerReport& layer : report.layers) {
    layer.stream_gap.reset();
    layer.planned_damage.reset();
    layer.condition.reset();
  }
  const std::string page = record_page({report, 6, ""});
  for (const char* id : {"stream-gap", "damage", "condition"}) {
    EXPECT_THAT(figure_of(page, id), HasSubstr("Not known: ")) << id;
    EXPECT_THAT(figure_of(page, id), Not(HasSubstr("<svg"))) << id;
  }
}

TEST(RecordPage, BeginsWithTheErrorOfARunThatFailed) {
  RunReport report = usual_run();
  report.totals.reset();
  report.layers.resize(4);
  const std::string page = record_page({report, 6, "obs: H of <x> is \x01 not finite"});
  EXPECT_TRUE(has(page, "The run failed."));
  EXPECT_TRUE(has(page, "obs: H of &lt;x&gt; is \\x01 not finite"));
  EXPECT_TRUE(has(page, "4 of 6 linears"));
  EXPECT_LT(page.find("The run failed."), page.find("<figure"));
  EXPECT_THAT(figure_of(page, "parts"), HasSubstr("Not known"));
  EXPECT_THAT(figure_of(page, "output-error"), HasSubstr("<svg"));
}

TEST(RecordPage, IsMadeOfNothingToo) {
  const std::string page = record_page({RunReport{}, 0, "model: no such folder"});
  EXPECT_TRUE(has(page, "model: no such folder"));
  EXPECT_EQ(count(page, "<figure "), kFigures.size());
  EXPECT_FALSE(has(page, "<svg"));
}

TEST(RecordPage, OutlinesInputsBeyondFloat16) {
  RunReport report = usual_run();
  EXPECT_FALSE(has(record_page({report, 6, ""}), "class=\"beyond\""));
  report.layers[1].activation_max = 7e4;
  const std::string range = figure_of(record_page({report, 6, ""}), "activation-range");
  EXPECT_EQ(count(range, "class=\"beyond\""), 1U);
}

TEST(RecordPage, TakesFiguresThatAreNotFinite) {
  RunReport report = usual_run();
  report.layers[0].output_error = std::numeric_limits<double>::infinity();
  report.layers[1].stream_gap = std::numeric_limits<double>::quiet_NaN();
  const std::string page = record_page({report, 6, ""});
  EXPECT_FALSE(has(page, "=\"nan\""));
  EXPECT_FALSE(has(page, "=\"inf\""));
  EXPECT_THAT(figure_of(page, "output-error"), HasSubstr("not known"));
}

TEST(RecordPage, ListsTheOddestLinears) {
  RunReport report = usual_run();
  report.layers[3].dead_channels = 9;
  EXPECT_TRUE(has(record_page({report, 6, ""}),
                  "9 of its 64 input channels never fired; the weights there are zero"));
}

}  // namespace
}  // namespace sgpt_mi::recorder
