#include "sgpt_mi/report/statistics.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <numeric>

#include "cells.h"

namespace sgpt_mi::report {
namespace {

using Row = std::vector<std::string>;

Section averages(const RunReport& report, const TotalsReport& totals) {
  Section section;
  section.title = "Averages";
  section.table = {{"figure", "value"},
                   {"compressed linears", std::to_string(report.layers.size())},
                   {"weights in them", std::to_string(totals.weights)},
                   {"sparsity", percent_cell(totals.sparsity, 1.0)},
                   {"code bits a weight", fmt::format("{:.4f}", totals.average_code_bits)},
                   {"stored bits a weight", fmt::format("{:.4f}", totals.stored_bits_per_weight)},
                   {"bytes of the saved model", std::to_string(totals.bytes)}};
  for (const auto& [part, bytes] : totals.bytes_by_part) {
    section.table.push_back({"bytes of " + part, std::to_string(bytes)});
  }
  if (totals.predicted_file_bytes) {
    section.table.push_back(
        {"file bytes, predicted", std::to_string(*totals.predicted_file_bytes)});
  }
  if (totals.written_file_bytes) {
    section.table.push_back({"file bytes, written", std::to_string(*totals.written_file_bytes)});
  }
  return section;
}

Section widths(const std::vector<LayerReport>& layers) {
  std::map<int, std::int64_t> channels_by_bits;
  std::int64_t total = 0;
  for (const LayerReport& layer : layers) {
    for (const auto& [bits, channels] : layer.channels_by_bits) {
      channels_by_bits[bits] += channels;
      total += channels;
    }
  }
  Section section;
  if (total == 0) return section;
  section.title = "Channels per width";
  section.table = {{"bits", "channels", "share"}};
  for (const auto& [bits, channels] : channels_by_bits) {
    section.table.push_back(
        {std::to_string(bits), std::to_string(channels),
         percent_cell(static_cast<double>(channels), static_cast<double>(total))});
  }
  section.table.push_back({"all", std::to_string(total), percent_cell(1.0, 1.0)});
  return section;
}

Row spread_row(const std::string& name, const std::vector<double>& values, int decimals) {
  const auto [smallest, largest] = std::minmax_element(values.begin(), values.end());
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return {name, number_cell(*smallest, decimals), number_cell(mean, decimals),
          number_cell(*largest, decimals), std::to_string(values.size())};
}

Section grouping(const std::vector<LayerReport>& layers) {
  std::vector<double> groups;
  std::vector<double> silhouettes;
  for (const LayerReport& layer : layers) {
    if (!layer.groups.empty()) groups.push_back(static_cast<double>(layer.groups.size()));
    if (layer.silhouette) silhouettes.push_back(*layer.silhouette);
  }
  Section section;
  if (groups.empty()) return section;
  section.title = "Grouping";
  section.table = {{"over linears", "min", "mean", "max", "linears"}};
  section.table.push_back(spread_row("groups", groups, 1));
  if (!silhouettes.empty()) section.table.push_back(spread_row("silhouette", silhouettes, 4));
  return section;
}

std::string importance_cell(const LayerReport& layer) {
  if (!layer.importance_min || !layer.importance_max) return "-";
  return general_cell(layer.importance_min) + " .. " + general_cell(layer.importance_max);
}

Section linears(const std::vector<LayerReport>& layers) {
  Section section;
  section.title = "Linears";
  section.paragraphs = {
      "Loss: sum (w - q)^2 / (2 U_jj^2). Output error: trace(dW H dW^T) / trace(W H W^T). "
      "Importance: smallest and largest of the linear's channels."};
  section.table = {{"linear", "code bits", "stored bits", "sparsity", "groups", "silhouette",
                    "importance", "loss", "output error", "damping"}};
  for (const LayerReport& layer : layers) {
    section.table.push_back(
        {layer.name, fmt::format("{:.3f}", layer.average_bits),
         fmt::format("{:.3f}", layer.stored_bits), percent_cell(layer.sparsity, 1.0),
         layer.groups.empty() ? "-" : std::to_string(layer.groups.size()),
         number_cell(layer.silhouette, 4), importance_cell(layer), general_cell(layer.loss),
         general_cell(layer.output_error), fmt::format("{:g}", layer.damping)});
  }
  return section;
}

Section settings(const RunReport& report) {
  Section section;
  section.title = "Run";
  section.table = {{"setting", "value"},
                   {"program", "sgpt-mi " + report.version},
                   {"command", fmt::format("{}", fmt::join(report.command, " "))},
                   {"model", report.model.path},
                   {"model sha256", report.model.sha256}};
  if (report.calibration) {
    const CalibrationReport& calibration = *report.calibration;
    section.table.push_back(
        {"calibration", fmt::format("{}: {} windows of {} tokens, seed {}", calibration.dataset,
                                    calibration.nsamples, calibration.seqlen, calibration.seed)});
  }
  return section;
}

Section results(const RunReport& report) {
  Section section;
  section.title = "Result";
  section.paragraphs = {"Perplexity ± its standard error over windows (delta method)."};
  section.table = result_rows(report);
  return section;
}

}  // namespace

std::vector<Section> statistics(const RunReport& report) {
  std::vector<Section> sections;
  if (!report.totals || report.layers.empty()) return sections;
  sections.push_back(averages(report, *report.totals));
  for (Section& section : std::vector<Section>{widths(report.layers), grouping(report.layers)}) {
    if (!section.table.empty()) sections.push_back(std::move(section));
  }
  sections.push_back(linears(report.layers));
  return sections;
}

std::string statistics_text(const RunReport& report) { return to_text(statistics(report)); }

Document run_document(const RunReport& report, std::vector<Picture> pictures) {
  Document document;
  document.title = fmt::format("{}: {}", report.method, report.model.path);
  document.sections = {settings(report), results(report)};
  add_pictures(document, std::move(pictures));
  for (Section& section : statistics(report)) document.sections.push_back(std::move(section));
  add_warnings(document, report.warnings);
  return document;
}

}  // namespace sgpt_mi::report
