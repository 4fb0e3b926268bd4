#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::compress {

/// A tensor by its name; undefined when there is none.
using TensorLookup = std::function<torch::Tensor(const std::string& name)>;

/// Those of a file, which outlives the function; null: none.
[[nodiscard]] TensorLookup lookup_in(const containers::TensorSource* file);

/// Pictures as a journal keeps them: the value of a record, and tensors NAME/affinity that are
/// added to `tensors`.
[[nodiscard]] nlohmann::json record_pictures(const std::vector<GroupPicture>& pictures,
                                             std::vector<containers::TensorData>& tensors);

/// What record_pictures() kept.
[[nodiscard]] std::vector<GroupPicture> recall_pictures(const nlohmann::json& value,
                                                        const TensorLookup& tensors);

}  // namespace sgpt_mi::compress
