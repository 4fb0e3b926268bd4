#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::formats {

/// Whether config.json's object says that the folder is one of GPTQ or compressed-tensors, whatever
/// its variant.
[[nodiscard]] bool is_integer_config(const nlohmann::json& config);

/// The tensors of a GPTQ or compressed-tensors checkpoint.
struct IntegerCheckpoint {
  std::unique_ptr<containers::TensorSource>
      tensors;  ///< dense names; matrices are decoded to float32 by read()
  std::vector<packing::PackedMatrixInfo> matrices;  ///< in the order of the tensors
  const CodeSource* codes = nullptr;                ///< part of `tensors`
};

/// Wraps the stored tensors of such a checkpoint, so that they look like the dense model's, with
/// matrices as float32: scale * (code - zero point), without rounding.
///
/// \param config  config.json, for which is_integer_config holds.
/// \param source  file or folder, for messages.
/// \throws Error(kInput) naming what is not read: a variant, a tensor, its type or shape.
[[nodiscard]] IntegerCheckpoint open_integer(std::unique_ptr<containers::TensorSource> stored,
                                             const nlohmann::json& config,
                                             const std::string& source);

}  // namespace sgpt_mi::formats
