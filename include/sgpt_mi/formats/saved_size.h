#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "sgpt_mi/io/packed_size.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/pipeline/options.h"
#include "weight_store.h"

namespace sgpt_mi::pipeline {

/// What a saved model takes that does not depend on the chosen widths.
struct FixedSize {
  std::int64_t dense_bytes = 0;       ///< tensors that stay as they are
  std::int64_t header_bytes = 0;      ///< at most, of the safetensors files
  std::int64_t selected_weights = 0;  ///< weights of the linears to compress
};

[[nodiscard]] FixedSize fixed_size(const SavedTypes& types, const model::Model& model,
                                   const LayerSelection& selection);

/// Bits a weight that --target_stored_bits or --target_bytes leaves for the selected linears; empty
/// when code bits count. Throws Error(kUsage) when the bytes do not even hold the dense tensors.
[[nodiscard]] std::optional<double> stored_bits_target(const CompressionSettings& settings,
                                                       const FixedSize& fixed);

/// Tensor data of a saved model by part: "dense", and of packed matrices "codes", "mask" ...
[[nodiscard]] std::map<std::string, std::int64_t> bytes_by_part(std::int64_t dense_bytes,
                                                                const io::PackedSize& packed);

/// Tensor data in a folder's safetensors files, from their headers.
[[nodiscard]] std::int64_t tensor_bytes_in(const std::filesystem::path& folder);

}  // namespace sgpt_mi::pipeline
