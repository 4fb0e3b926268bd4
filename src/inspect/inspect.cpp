#include "sgpt_mi/inspect/inspect.h"

#include <spdlog/fmt/ranges.h>
#include <torch/types.h>

#include <set>

#include "sgpt_mi/core/byte_size.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/format.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/inspect/packed_totals.h"
#include "sgpt_mi/model/fit_checkpoint.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sgpt_mi/report/document.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::inspect {
namespace {

std::set<std::string> linear_weights(const model::Model& model) {
  std::set<std::string> names;
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    for (const model::LinearInfo& linear : model.block_linears(layer)) {
      names.insert(linear.name + ".weight");
    }
  }
  return names;
}

std::string part_of(const std::string& name, const std::set<std::string>& linears) {
  if (linears.contains(name)) return "linears";
  if (name.find("norm") != std::string::npos) return "norms";
  if (name.find("embed") != std::string::npos) return "embeddings";
  if (name.find("lm_head") != std::string::npos) return "head";
  if (name.ends_with(".bias")) return "biases";
  return "other";
}

std::int64_t count_zeros(const containers::TensorData& data) {
  const torch::Tensor tensor = model::to_torch(data);
  return tensor.numel() - tensor.count_nonzero().item<std::int64_t>();
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, " x "));
}

std::optional<nlohmann::json> run_of(const formats::ModelLocation& location) {
  const std::filesystem::path path = location.path / formats::SavingStore::kReportFile;
  if (!location.is_folder() || !std::filesystem::exists(path)) return std::nullopt;
  auto run = nlohmann::json::parse(documents::read_text_file(path), nullptr, false);
  if (run.is_discarded() || !run.is_object()) return std::nullopt;
  return run;
}

/// A packed matrix is several tensors of the file.
containers::StoredForm stored_form(const formats::Checkpoint& checkpoint, const std::string& name) {
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) {
    if (name == matrix.name + ".weight") return {"packed", matrix.size.total()};
  }
  return checkpoint.tensors->stored(name);
}

std::int64_t stored_bytes(const formats::Checkpoint& checkpoint) {
  std::int64_t bytes = 0;
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
    bytes += stored_form(checkpoint, info.name).bytes;
  }
  return bytes;
}

/// Bytes of the files' tensors that are none of the model's.
std::int64_t left_out_bytes(const formats::Checkpoint& checkpoint) {
  if (checkpoint.location.is_random) return 0;
  return stored_bytes(formats::open_checkpoint(checkpoint.location)) - stored_bytes(checkpoint);
}

std::string tensor_table(const ModelSummary& summary) {
  std::vector<std::vector<std::string>> rows{{"tensor", "type", "shape", "bytes", "zeros"}};
  for (const TensorSummary& tensor : summary.tensors) {
    const double count = static_cast<double>(std::max<std::int64_t>(tensor.info.count(), 1));
    rows.push_back({printable(tensor.info.name), tensor.stored_type, shape_text(tensor.info.shape),
                    human_bytes(tensor.stored_bytes),
                    fmt::format("{:.2f} %", 100.0 * static_cast<double>(tensor.zeros) / count)});
  }
  return report::text_table(rows);
}

std::string part_table(const ModelSummary& summary) {
  std::vector<std::vector<std::string>> rows{{"part", "parameters", "bytes"}};
  std::int64_t parameters = 0;
  std::int64_t bytes = 0;
  for (const auto& [part, part_bytes] : summary.bytes_by_part) {
    const auto found = summary.parameters_by_part.find(part);
    const std::int64_t count = found == summary.parameters_by_part.end() ? 0 : found->second;
    rows.push_back({part, count == 0 ? "-" : std::to_string(count), human_bytes(part_bytes)});
    parameters += count;
    bytes += part_bytes;
  }
  rows.push_back({"total", std::to_string(parameters), human_bytes(bytes)});
  return report::text_table(rows);
}

std::string percent(std::int64_t part, std::int64_t whole) {
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string layout_name(const packing::PackedMatrixInfo& matrix) {
  switch (matrix.layout) {
    case packing::PackedLayout::kDense:
      return "all codes";
    case packing::PackedLayout::kBitmask:
      return "bitmask";
    case packing::PackedLayout::kRanks:
      return fmt::format("{}:{} ranks", matrix.prune_m - matrix.prune_n, matrix.prune_m);
    case packing::PackedLayout::kCoded:
      return fmt::format("coded, {} tables", matrix.tables);
  }
  return "?";
}

/// The packed matrices, then what the file's parts take.
std::string packed_tables(const ModelSummary& summary) {
  std::vector<std::vector<std::string>> matrices{{"packed matrix", "layout", "kept", "groups",
                                                  "codes", "tables", "mask", "scales",
                                                  "zero points", "permutation", "bits/weight"}};
  for (const packing::PackedMatrixInfo& matrix : summary.packed_matrices) {
    const packing::PackedSize& size = matrix.size;
    matrices.push_back(
        {matrix.name, layout_name(matrix), percent(matrix.stored, matrix.dense.count()),
         std::to_string(matrix.groups), std::to_string(size.codes), std::to_string(size.tables),
         std::to_string(size.mask), std::to_string(size.scale), std::to_string(size.zero_point),
         std::to_string(size.permutation), fmt::format("{:.4f}", matrix.stored_bits_per_weight())});
  }
  const report::TotalsReport& totals = *summary.packed;
  std::vector<std::vector<std::string>> parts{{"on disk", "bytes", "share"}};
  for (const auto& [part, bytes] : totals.bytes_by_part) {
    parts.push_back({part, std::to_string(bytes), percent(bytes, totals.bytes)});
  }
  parts.push_back({"total", std::to_string(totals.bytes), percent(totals.bytes, totals.bytes)});
  std::vector<std::vector<std::string>> widths{{"bits", "weights", "share"}};
  for (const auto& [bits, weights] : totals.bit_histogram) {
    widths.push_back({bits, std::to_string(weights), percent(weights, totals.weights)});
  }
  return fmt::format(
      "{}\n{}\n{}\n{:.4f} code bits and {:.4f} stored bits a weight of the packed matrices\n",
      report::text_table(matrices), report::text_table(parts), report::text_table(widths),
      totals.average_code_bits, totals.stored_bits_per_weight);
}

nlohmann::ordered_json packed_json(const ModelSummary& summary) {
  const report::TotalsReport& totals = *summary.packed;
  nlohmann::ordered_json json{{"average_code_bits", totals.average_code_bits},
                              {"stored_bits_per_weight", totals.stored_bits_per_weight},
                              {"bytes", totals.bytes},
                              {"bytes_by_part", totals.bytes_by_part},
                              {"bit_histogram", totals.bit_histogram}};
  for (const packing::PackedMatrixInfo& matrix : summary.packed_matrices) {
    const packing::PackedSize& size = matrix.size;
    json["matrices"].push_back({{"name", matrix.name},
                                {"layout", layout_name(matrix)},
                                {"stored_weights", matrix.stored},
                                {"groups", matrix.groups},
                                {"codes", size.codes},
                                {"tables", size.tables},
                                {"mask", size.mask},
                                {"scale", size.scale},
                                {"zero_point", size.zero_point},
                                {"permutation", size.permutation},
                                {"record", size.record},
                                {"stored_bits_per_weight", matrix.stored_bits_per_weight()}});
  }
  return json;
}

std::string run_table(const nlohmann::json& run) {
  std::vector<std::vector<std::string>> rows{
      {"compressed linear", "sparsity", "bits", "stored bits", "output error", "damping"}};
  for (const auto& layer : run.value("layers", nlohmann::json::array())) {
    rows.push_back({layer.value("name", "?"), fmt::format("{:.4f}", layer.value("sparsity", 0.0)),
                    fmt::format("{:g}", layer.value("average_bits", 0.0)),
                    fmt::format("{:g}", layer.value("stored_bits", 0.0)),
                    fmt::format("{:.5f}", layer.value("output_error", 0.0)),
                    fmt::format("{:g}", layer.value("damping", 0.0))});
  }
  return fmt::format("written by sgpt-mi {}, method {}\n{}", run.value("version", "?"),
                     run.value("method", "?"), report::text_table(rows));
}

}  // namespace

ModelSummary inspect_model(const std::string& model) {
  const formats::Checkpoint checkpoint = model::open_model(model, quant::torch_threads());
  const model::Model opened(checkpoint);
  const std::set<std::string> linears = linear_weights(opened);
  ModelSummary summary;
  summary.family = opened.spec().model_type;
  std::int64_t headers =
      checkpoint.location.is_random ? 0 : formats::weight_file_bytes(checkpoint.location);
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
    check_interrupt();
    TensorSummary tensor;
    tensor.info = info;
    const containers::StoredForm stored = stored_form(checkpoint, info.name);
    tensor.stored_type = stored.type;
    tensor.stored_bytes = stored.bytes;
    tensor.part = part_of(info.name, linears);
    tensor.zeros = count_zeros(checkpoint.tensors->read(info.name));
    summary.bytes_by_part[tensor.part] += stored.bytes;
    headers -= stored.bytes;
    summary.parameters_by_part[tensor.part] += info.count();
    summary.tensors.push_back(std::move(tensor));
  }
  const std::int64_t left_out = left_out_bytes(checkpoint);
  if (left_out > 0) summary.bytes_by_part["left out"] = left_out;
  if (!checkpoint.location.is_random) summary.bytes_by_part["headers"] = headers - left_out;
  summary.packed = packed_totals(checkpoint);
  summary.packed_matrices = checkpoint.packed_matrices;
  summary.notes = checkpoint.notes;
  summary.run = run_of(checkpoint.location);
  return summary;
}

nlohmann::ordered_json to_json(const ModelSummary& summary) {
  nlohmann::ordered_json json{{"family", summary.family}};
  json["tensors"] = nlohmann::ordered_json::array();
  for (const TensorSummary& tensor : summary.tensors) {
    json["tensors"].push_back({{"name", tensor.info.name},
                               {"dtype", dtype_name(tensor.info.dtype)},
                               {"shape", tensor.info.shape},
                               {"stored_type", tensor.stored_type},
                               {"bytes", tensor.stored_bytes},
                               {"part", tensor.part},
                               {"zeros", tensor.zeros}});
  }
  json["bytes_by_part"] = summary.bytes_by_part;
  json["parameters_by_part"] = summary.parameters_by_part;
  if (summary.packed) json["packed"] = packed_json(summary);
  if (!summary.notes.empty()) json["notes"] = summary.notes;
  if (summary.run) json["run"] = *summary.run;
  return json;
}

std::string to_text(const ModelSummary& summary) {
  std::string text = tensor_table(summary) + "\n" + part_table(summary);
  for (const std::string& note : summary.notes) text += "\nnote: " + note + "\n";
  if (summary.packed) text += "\n" + packed_tables(summary);
  if (summary.run) text += "\n" + run_table(*summary.run);
  return text;
}

}  // namespace sgpt_mi::inspect
