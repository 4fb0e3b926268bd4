#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace sgpt_mi::containers {

/// model.safetensors, or model-0000i-of-0000n.safetensors when there are several.
[[nodiscard]] std::string shard_name(std::size_t index, std::size_t count);

inline constexpr const char* kShardIndexName = "model.safetensors.index.json";

/// The text of the index of several shards: the file of each tensor, and the bytes of all tensors.
[[nodiscard]] std::string shard_index(const std::map<std::string, std::string>& file_of_tensor,
                                      std::size_t tensor_bytes);

}  // namespace sgpt_mi::containers
