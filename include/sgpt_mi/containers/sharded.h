#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::containers {

/// Opens one file of a checkpoint.
using OpenShard = std::unique_ptr<TensorSource> (*)(const std::filesystem::path& path);

/// Opens the shards that an index file ({"weight_map": {tensor: file}}) names, as one source.
///
/// Checked: every file lies in the index's folder, exists and opens. As in transformers, which goes
/// by the shards, a tensor that is not in the shard that the index names is taken from another one
/// or, where none has it (tied heads), left out; one that the index does not list is taken as it
/// is, unless two shards have it. Where two shards have a listed one, they must agree. Buffers
/// (buffer_names.h) are left out, listed or not. Throws Error(kInput) naming the index, the shard
/// and the tensor.
[[nodiscard]] std::unique_ptr<TensorSource> open_sharded(const std::filesystem::path& index,
                                                         OpenShard open_shard);

/// The files that open_sharded() opens for an index, each once, in name order; whether they are
/// there is not looked at. Throws Error(kInput) as open_sharded().
[[nodiscard]] std::vector<std::filesystem::path> shard_files(const std::filesystem::path& index);

}  // namespace sgpt_mi::containers
