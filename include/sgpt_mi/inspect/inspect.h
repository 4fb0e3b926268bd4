#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/report/run_report.h"

namespace sgpt_mi::inspect {

/// One tensor of a model, looked at.
struct TensorSummary {
  containers::TensorInfo info;
  std::string stored_type;        ///< as it lies in the file: "F16", "Q4_K", "packed"
  std::int64_t stored_bytes = 0;  ///< there
  std::string part;               ///< "linears", "embeddings", "norms", "head", "biases", "other"
  std::int64_t zeros = 0;         ///< elements that are exactly 0
};

/// A model folder or file, looked at: every tensor read once.
struct ModelSummary {
  std::string family;
  std::vector<TensorSummary> tensors;
  /// Bytes of the weight files: of the parts, of tensors "left out", and "headers" with the
  /// padding.
  std::map<std::string, std::int64_t> bytes_by_part;
  std::map<std::string, std::int64_t> parameters_by_part;
  std::vector<packing::PackedMatrixInfo> packed_matrices;  ///< of a packed checkpoint
  std::optional<report::TotalsReport> packed;              ///< what they take on disk
  std::vector<std::string> notes;     ///< what is read in another way than the files say
  std::optional<nlohmann::json> run;  ///< sgpt_mi.json, when `compress` wrote the folder
};

/// Reads every tensor of MODEL once; memory: one tensor.
/// Throws Error(kInput) when the model cannot be read.
[[nodiscard]] ModelSummary inspect_model(const std::string& model);

[[nodiscard]] nlohmann::ordered_json to_json(const ModelSummary& summary);

/// Tables for people: tensors, bytes by part, and the compressed layers when there are any.
[[nodiscard]] std::string to_text(const ModelSummary& summary);

}  // namespace sgpt_mi::inspect
