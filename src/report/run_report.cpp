#include "sgpt_mi/report/run_report.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cmath>
#include <sstream>

#include "figures_json.h"
#include "sgpt_mi/core/names.h"

namespace sgpt_mi::report {
namespace {

using Json = nlohmann::ordered_json;

Json memory_json(const MemoryReport& bytes) {
  return {{"host", bytes.host}, {"device", bytes.device}};
}

Json totals_json(const TotalsReport& totals) {
  Json json{{"weights", totals.weights},
            {"sparsity", totals.sparsity},
            {"average_code_bits", totals.average_code_bits},
            {"stored_bits_per_weight", totals.stored_bits_per_weight},
            {"bytes", totals.bytes},
            {"bit_histogram", totals.bit_histogram},
            {"bytes_by_part", totals.bytes_by_part}};
  if (totals.predicted_file_bytes) json["predicted_file_bytes"] = *totals.predicted_file_bytes;
  if (totals.written_file_bytes) json["written_file_bytes"] = *totals.written_file_bytes;
  return json;
}

}  // namespace

std::vector<LayerPlace> layer_places(std::span<const LayerReport> layers) {
  std::vector<LayerPlace> places;
  for (const LayerReport& layer : layers) {
    LayerPlace& place = places.emplace_back();
    std::optional<std::int64_t> block;
    std::istringstream parts(layer.name);
    for (std::string part; std::getline(parts, part, '.');) {
      const auto number = whole_number<std::int64_t>(part);
      if (!block && number && *number >= 0) block = number;
      place.kind = part;
    }
    place.block = block.value_or(static_cast<std::int64_t>(places.size()) - 1);
  }
  return places;
}

nlohmann::ordered_json to_json(const RunReport& report) {
  Json json{{"version", report.version},
            {"command", report.command},
            {"config", report.config},
            {"method", report.method},
            {"model",
             {{"path", report.model.path},
              {"family", report.model.family},
              {"layers", report.model.layers},
              {"parameters", report.model.parameters},
              {"bytes", report.model.bytes},
              {"sha256", report.model.sha256}}}};
  if (report.calibration) {
    const CalibrationReport& calibration = *report.calibration;
    json["calibration"] = {{"dataset", calibration.dataset},
                           {"nsamples", calibration.nsamples},
                           {"seqlen", calibration.seqlen},
                           {"seed", calibration.seed},
                           {"token_sha256", calibration.token_sha256},
                           {"dtype", calibration.dtype}};
  }
  json["layers"] = Json::array();
  for (const LayerReport& layer : report.layers) json["layers"].push_back(to_json(layer));
  for (const EndReport& end : report.ends) {
    json["ends"].push_back(
        {{"name", end.name}, {"rows", end.rows}, {"columns", end.columns}, {"bytes", end.bytes}});
  }
  if (report.totals) json["totals"] = totals_json(*report.totals);
  if (report.dense_bytes) json["dense_bytes"] = *report.dense_bytes;
  if (report.tuning) {
    json["tuning"] = {{"windows", report.tuning->windows},
                      {"kl_before", report.tuning->kl_before},
                      {"kl_after", report.tuning->kl_after},
                      {"kept", report.tuning->kept}};
  }
  json["perplexity"] = perplexity_json(report.perplexity);
  json["timings"] = report.timings;
  if (!report.operations.empty()) json["operations"] = report.operations;
  json["peak_bytes"] = memory_json(report.peak_bytes);
  if (report.planned_bytes) json["peak_bytes"]["planned"] = memory_json(*report.planned_bytes);
  json["warnings"] = report.warnings;
  return json;
}

TotalsReport sum_layers(const std::vector<LayerReport>& layers, std::int64_t model_bytes) {
  TotalsReport totals;
  totals.bytes = model_bytes;
  double zeros = 0.0;
  double code_bits = 0.0;
  double stored_bits = 0.0;
  for (const LayerReport& layer : layers) {
    const std::int64_t weights = layer.rows * layer.columns;
    const auto count = static_cast<double>(weights);
    totals.weights += weights;
    zeros += layer.sparsity * count;
    code_bits += layer.average_bits * count;
    stored_bits += layer.stored_bits * count;
    totals.bit_histogram[layer.coded ? "coded" : fmt::format("{:g}", layer.average_bits)] +=
        weights;
  }
  if (totals.weights > 0) {
    const auto count = static_cast<double>(totals.weights);
    totals.sparsity = zeros / count;
    totals.average_code_bits = code_bits / count;
    totals.stored_bits_per_weight = stored_bits / count;
  }
  return totals;
}

}  // namespace sgpt_mi::report
