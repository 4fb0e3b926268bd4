#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::containers {

/// Where everything lies in a safetensors file.
struct SafetensorsLayout {
  std::vector<TensorInfo> tensors;   ///< ordered by place in the file
  std::vector<std::size_t> offsets;  ///< first byte of each tensor, from the file's start
};

/// Reads and checks the header of a whole safetensors file; the rules are open_safetensors'.
/// `label` is the file's name, for messages. Memory: a small multiple of the header.
/// Throws Error(kInput) naming file, tensor and the broken rule.
[[nodiscard]] SafetensorsLayout parse_safetensors(std::span<const std::byte> file,
                                                  const std::string& label);

}  // namespace sgpt_mi::containers
