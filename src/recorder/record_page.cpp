#include "sgpt_mi/recorder/record_page.h"

#include <spdlog/fmt/fmt.h>

#include <map>
#include <vector>

#include "charts.h"
#include "heat_map.h"
#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/recorder/oddities.h"

namespace sgpt_mi::recorder {
namespace {

using report::LayerReport;
using report::RunReport;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kOddest = 10;

// Without "<", ">" and "&", which XML would want escaped and HTML would not.
constexpr const char* kStyle = R"(
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff;
       max-width: 1240px; margin: 1.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.sub { color: #57606a; margin: 0 0 1rem; overflow-wrap: anywhere; }
.ended { padding: .7rem 1rem; border-radius: 8px; border: 1px solid; margin: 1rem 0; }
.finished { background: #eefbf1; border-color: #9bd8a9; }
.failed { background: #fff1ee; border-color: #f0a58f; }
.failed b { color: #b3261e; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.table { overflow-x: auto; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; }
th { color: #57606a; font-weight: 600; border-bottom: 1px solid #d0d7de; white-space: nowrap; }
td.name { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .85rem; }
tbody tr { border-bottom: 1px solid #eaeef2; }
.figures { display: flex; flex-wrap: wrap; gap: 1.4rem 2.2rem; align-items: flex-start; }
figure { margin: 0; max-width: 100%; }
figcaption { max-width: 34rem; margin-bottom: .4rem; font-size: .88rem; color: #57606a; }
figcaption b { display: block; font-size: 1rem; color: #1f2328; }
.absent { color: #57606a; font-style: italic; font-size: .88rem; margin: 0; }
svg { display: block; max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: #424a53; } svg .light { fill: #fff; font-size: 11px; }
svg .dark { fill: #1f2328; font-size: 11px; }
svg .beyond { stroke: #0550ae; stroke-width: 2; }
svg rect:hover { stroke: #1f2328; }
summary { cursor: pointer; color: #0550ae; }
)";

std::string paragraph(const std::string& text) { return "<p>" + escaped(text) + "</p>\n"; }

/// \param names  the columns that hold names of linears.
std::string table(const Rows& rows, std::size_t names = 1) {
  if (rows.empty()) return "";
  const auto line = [&](const std::vector<std::string>& row, const std::string& tag) {
    std::string text = "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool name = tag == "td" && i < names;
      text +=
          fmt::format("<{}{}>{}</{}>", tag, name ? " class=\"name\"" : "", escaped(row[i]), tag);
    }
    return text + "</tr>\n";
  };
  std::string text =
      "<div class=\"table\"><table>\n<thead>\n" + line(rows.front(), "th") + "</thead>\n<tbody>\n";
  for (std::size_t i = 1; i < rows.size(); ++i) text += line(rows[i], "td");
  return text + "</tbody>\n</table></div>\n";
}

std::string section(const std::string& title, const std::string& content) {
  return "<section>\n<h2>" + escaped(title) + "</h2>\n" + content + "</section>\n";
}

std::string figure_markup(const Figure& drawn) {
  const std::string content =
      drawn.svg.empty() ? "<p class=\"absent\">Not known: " + escaped(drawn.absent) + ".</p>\n"
                        : drawn.svg;
  return "<figure id=\"" + drawn.id + "\">\n<figcaption><b>" + escaped(drawn.title) + "</b>" +
         escaped(drawn.note) + "</figcaption>\n" + content + "</figure>\n";
}

std::string figures(const std::vector<Figure>& drawn) {
  std::string content = "<div class=\"figures\">\n";
  for (const Figure& one : drawn) content += figure_markup(one);
  return content + "</div>\n";
}

std::string command_of(const RunReport& report) {
  std::string command;
  for (const std::string& word : report.command) command += (command.empty() ? "" : " ") + word;
  return command;
}

/// How the run ended, with what came of it.
std::string ending(const Record& record) {
  const RunReport& report = record.report;
  const std::size_t done = report.layers.size();
  const std::string linears = record.linears > 0 && static_cast<std::int64_t>(done) < record.linears
                                  ? fmt::format("{} of {} linears", done, record.linears)
                                  : fmt::format("{} linears", done);
  if (!record.error.empty()) {
    return "<div class=\"ended failed\"><b>The run failed.</b> " + escaped(record.error) +
           "<br/>Until then " + linears + " were compressed; this page shows them.</div>\n";
  }
  std::string text = linears + " were compressed";
  if (report.totals) {
    text += fmt::format(" to {:.3f} stored bits a weight; the model takes {}",
                        report.totals->stored_bits_per_weight, human_bytes(report.totals->bytes));
  }
  return "<div class=\"ended finished\"><b>The run finished.</b> " + escaped(text) + ".</div>\n";
}

std::string header(const Record& record) {
  const RunReport& report = record.report;
  std::string sub = fmt::format("method {}, sgpt-mi {}", report.method, report.version);
  if (report.calibration) {
    sub += fmt::format(", {} windows of {} tokens of {}, seed {}", report.calibration->nsamples,
                       report.calibration->seqlen, report.calibration->dataset,
                       report.calibration->seed);
  }
  return "<h1>" + escaped(report.model.path.empty() ? "A run of sgpt-mi" : report.model.path) +
         "</h1>\n<p class=\"sub\">" + escaped(sub) + "<br/><code>" + escaped(command_of(report)) +
         "</code></p>\n" + ending(record);
}

std::string oddest(const std::vector<LayerReport>& layers) {
  const std::vector<Oddity> oddities = find_oddities(layers, kOddest);
  if (oddities.empty()) {
    return paragraph("No linear stands out from the others of its kind.");
  }
  Rows rows{{"linear", "why"}};
  for (const Oddity& oddity : oddities) rows.push_back({layers[oddity.layer].name, oddity.why});
  return table(rows);
}

std::string optional_figure(const std::optional<double>& value) {
  return value ? figure(*value) : "-";
}

std::string all_linears(const std::vector<LayerReport>& layers) {
  Rows rows{{"linear", "shape", "output error", "zeros", "code bits", "stored bits", "damping",
             "condition", "dead", "massive", "largest |x|", "drift", "planned", "reached",
             "seconds"}};
  for (const LayerReport& layer : layers) {
    rows.push_back({layer.name, fmt::format("{} × {}", layer.rows, layer.columns),
                    figure(layer.output_error), fmt::format("{:.4f}", layer.sparsity),
                    layer.type.empty() ? fmt::format("{:.3f}", layer.average_bits) : layer.type,
                    fmt::format("{:.3f}", layer.stored_bits), figure(layer.damping),
                    optional_figure(layer.condition), std::to_string(layer.dead_channels),
                    std::to_string(layer.massive_channels), figure(layer.activation_max),
                    optional_figure(layer.stream_gap), optional_figure(layer.planned_damage),
                    optional_figure(layer.reached_damage), figure(layer.seconds)});
  }
  return "<details>\n<summary>" + fmt::format("{} rows", layers.size()) + "</summary>\n" +
         table(rows) + "</details>\n";
}

std::string content(const Record& record) {
  const RunReport& report = record.report;
  std::string text = header(record);
  const Rows result = report::result_rows(report);
  if (result.size() > 1) text += section("Result", table(result));
  if (!report.warnings.empty()) {
    std::string list;
    for (const std::string& warning : report.warnings)
      list += "<li>" + escaped(warning) + "</li>\n";
    text += section("Warnings", "<ul>\n" + list + "</ul>\n");
  }
  if (!report.layers.empty()) text += section("The oddest linears", oddest(report.layers));
  std::vector<Figure> maps;
  for (const HeatMap& map : heat_maps()) maps.push_back(draw_heat_map(map, report.layers));
  text += section("Blocks × linears", figures(maps));
  text += section("Drift and damage",
                  figures({draw_stream_gap(report.layers), draw_damage(report.layers)}));
  text += section("Time and size", figures({draw_stages(report), draw_parts(report)}));
  if (!report.layers.empty()) text += section("All linears", all_linears(report.layers));
  return text;
}

}  // namespace

std::string record_page(const Record& record) {
  const std::string title = escaped("Record of " + record.report.model.path);
  return "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
         "<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>" +
         title + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n" + content(record) +
         "</body>\n</html>\n";
}

}  // namespace sgpt_mi::recorder
