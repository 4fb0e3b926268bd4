#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "e2e/demo.h"

// --record: the page of a run, looked at in a real browser.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Flags = std::vector<std::string>;
using Path = std::filesystem::path;

constexpr std::array<const char*, 13> kFigures{
    "output-error",     "damping",     "condition", "dead-channels", "massive-channels",
    "activation-range", "stored-bits", "sparsity",  "seconds",       "stream-gap",
    "damage",           "stages",      "parts"};

/// Whether a page has a text; a page is too long for messages.
bool has(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

/// A Chromium of the search path; empty when there is none.
std::string find_browser() {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
      if (std::filesystem::exists(Path(folder) / name)) return (Path(folder) / name).string();
    }
  }
  return "";
}

/// Asks the browser's own layout what it shows of every picture, and what else it met.
constexpr const char* kProbe = R"(<script>//<![CDATA[
const seen = {figures: {}, scripts: document.scripts.length - 1,
              errors: document.getElementsByTagName('parsererror').length,
              loaded: performance.getEntriesByType('resource').length};
for (const figure of document.querySelectorAll('figure')) {
  const svg = figure.querySelector('svg');
  const of = {width: 0, height: 0, shapes: 0, cut: 0};
  seen.figures[figure.id] = of;
  if (!svg) continue;
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  of.width = box.width;
  of.height = box.height;
  for (const shape of svg.querySelectorAll('rect, circle, polyline')) {
    const style = getComputedStyle(shape), size = shape.getBoundingClientRect();
    const painted = style.fill != 'none' || style.stroke != 'none';
    if (painted && style.visibility == 'visible' && size.width > 0 && size.height > 0) ++of.shapes;
  }
  for (const text of svg.querySelectorAll('text')) {
    const place = text.getBBox();
    if (place.x < -2 || place.y < -2 || place.x + place.width > view.width + 2 ||
        place.y + place.height > view.height + 2) ++of.cut;
  }
}
const result = document.createElementNS('http://www.w3.org/1999/xhtml', 'pre');
result.textContent = 'SEEN' + JSON.stringify(seen) + 'NEES';
document.documentElement.appendChild(result);
//]]></script>
)";

class RecordedRun : public testing::Test {
 protected:
  /// The page of a run of the program.
  std::string record(const Flags& command, int exit_code) {
    const Path file = folder_.path() / "record.html";
    const ProgramResult result = run_program(folder_, command + Flags{"--record", file.string()});
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    return std::filesystem::exists(file) ? read_all(file) : "";
  }

  /// What the browser sees of a page, read as XML, where an error of the markup is one.
  nlohmann::json look_at(std::string page) {
    const std::size_t end = page.rfind("</body>");
    page.insert(end == std::string::npos ? page.size() : end, kProbe);
    const Path file = folder_.file("page.xhtml", page);
    const Path dom = folder_.path() / "dom.txt";
    const std::string command =
        "timeout 100 '" + browser_ + "' --headless --no-sandbox --disable-gpu --user-data-dir='" +
        (folder_.path() / "profile").string() + "' --window-size=1300,3000 --dump-dom 'file://" +
        file.string() + "' >'" + dom.string() + "' 2>'" + (folder_.path() / "log.txt").string() +
        "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_all(folder_.path() / "log.txt");
    const std::string text = read_all(dom);
    const std::size_t first = text.find(">SEEN{");
    const std::size_t last = text.find("NEES<");
    if (first == std::string::npos || last == std::string::npos) return {{"errors", 1}};
    return nlohmann::json::parse(text.substr(first + 5, last - first - 5));
  }

  void require_browser() {
    browser_ = find_browser();
    if (browser_.empty()) {
      GTEST_SKIP() << "no chromium, chromium-browser or google-chrome in PATH; scripts/setup --dev "
                      "installs one";
    }
  }

  TemporaryFolder folder_;
  std::string browser_;
};

/// The ids of the pictures that a browser does not show whole.
Flags missing_pictures(const nlohmann::json& seen) {
  Flags missing;
  for (const char* id : kFigures) {
    const nlohmann::json figure = seen["figures"].value(id, nlohmann::json::object());
    const bool whole = figure.value("width", 0.0) > 150.0 && figure.value("height", 0.0) > 40.0 &&
                       figure.value("shapes", 0) > 3 && figure.value("cut", 1) == 0;
    if (!whole) missing.emplace_back(id);
  }
  return missing;
}

TEST_F(RecordedRun, EveryPictureIsDrawnInABrowser) {
  ASSERT_NO_FATAL_FAILURE(require_browser());
  if (IsSkipped()) return;
  const std::string page = record(small_compression(demo_model().string()), 0);
  ASSERT_TRUE(has(page, "The run finished."));
  const nlohmann::json seen = look_at(page);
  ASSERT_EQ(seen["errors"], 0) << seen;
  EXPECT_EQ(seen["scripts"], 0);
  EXPECT_EQ(seen["loaded"], 0);
  EXPECT_EQ(seen["figures"].size(), kFigures.size());
  EXPECT_THAT(missing_pictures(seen), testing::IsEmpty()) << seen.dump(1);
  // 24 linears: a cell or a dot each, and the key.
  for (const char* id : {"output-error", "condition", "seconds", "damage"}) {
    EXPECT_GE(seen["figures"][id]["shapes"], 24) << id;
  }

  // The same eyes see what is wrong with a page.
  std::string without = page;
  const std::size_t svg = without.find("<svg", without.find("id=\"condition\""));
  without.erase(svg, without.find("</svg>", svg) + 6 - svg);
  EXPECT_THAT(missing_pictures(look_at(without)), testing::ElementsAre("condition"));
  std::string broken = page;
  broken.erase(broken.find("</svg>"), 6);
  EXPECT_NE(look_at(broken)["errors"], 0);
}

/// Makes the last values of a tensor of a safetensors file NaN, whatever their type.
void spoil(const Path& file, const std::string& tensor) {
  std::string bytes = read_all(file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto json = nlohmann::json::parse(bytes.substr(8, header));
  const std::size_t end = 8 + header + json.at(tensor).at("data_offsets").at(1).get<std::size_t>();
  bytes.replace(end - 4, 4, "\xff\xff\xff\xff");
  std::ofstream(file, std::ios::binary) << bytes;
}

TEST_F(RecordedRun, AFailureInTheMiddleLeavesWhatWasDone) {
  const Path model = copy_demo(folder_);
  spoil(model / "model.safetensors", "model.decoder.layers.3.fc1.weight");
  const std::string page = record(
      small_compression(model.string()) + Flags{"--method", "sparsegpt", "--eval", "none"}, 4);
  EXPECT_TRUE(has(page, "The run failed."));
  EXPECT_TRUE(has(page, "layers.3.fc1"));
  EXPECT_TRUE(has(page, " of 24 linears"));
  EXPECT_TRUE(has(page, "<title>block 0, fc1: "));
  EXPECT_FALSE(has(page, "<title>block 3, fc1: "));
}

TEST_F(RecordedRun, TheReportHasTheFiguresOfThePage) {
  const Path file = folder_.path() / "report.json";
  record(small_compression(demo_model().string()) + Flags{"--sensitivity", "energy",
                                                          "--keep_embeddings", "--eval", "none",
                                                          "--report", file.string()},
         0);
  const auto report = nlohmann::json::parse(read_all(file));
  const nlohmann::json& layers = report["layers"];
  ASSERT_EQ(layers.size(), 24U);
  for (const nlohmann::json& layer : layers) {
    EXPECT_GT(layer["condition"], 1.0);
    EXPECT_GT(layer["activation_max"], 0.0);
    EXPECT_GT(layer["planned_damage"], 0.0);
    // Of this sensitivity damage is the share of the output's energy, and the same sum.
    const double error = layer["output_error"];
    EXPECT_NEAR(layer["reached_damage"].get<double>(), error, 1e-9 * error) << layer["name"];
  }
  // Nothing is compressed before the first linear: there is one stream yet.
  EXPECT_TRUE(layers[0]["stream_gap"].is_null());
  for (std::size_t i = 6; i < layers.size(); ++i) EXPECT_GT(layers[i]["stream_gap"], 0.0);
}

TEST_F(RecordedRun, RefusesAPlaceThatCannotBeWrittenBeforeTheWork) {
  const Flags flags{"--record", (folder_.path() / "no" / "such.html").string()};
  const ProgramResult result =
      run_program(folder_, small_compression(demo_model().string()) + flags);
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("record: "));
  EXPECT_THAT(result.err, Not(HasSubstr("dense perplexity")));
}

}  // namespace
}  // namespace sgpt_mi::test
