#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "sgpt_mi/compress/compress_blocks.h"
#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::compress {

/// Pictures as a journal keeps them: the value of a record, and tensors NAME/affinity that are
/// added to `tensors`.
[[nodiscard]] nlohmann::json record_pictures(const std::vector<GroupPicture>& pictures,
                                             std::vector<containers::TensorData>& tensors);

/// What record_pictures() kept; `tensors` may be null when there are none.
[[nodiscard]] std::vector<GroupPicture> recall_pictures(const nlohmann::json& value,
                                                        const containers::TensorSource* tensors);

}  // namespace sgpt_mi::compress
