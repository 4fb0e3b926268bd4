#pragma once

#include <cstddef>
#include <filesystem>

#include "sgpt_mi/formats/checkpoint.h"

namespace sgpt_mi::formats {

/// What every saved folder holds besides config.json and the weights: the tokenizer's files,
/// copied, or made from a GGUF file's metadata. Throws Error(kInput) naming the file.
void copy_companions(const Checkpoint& checkpoint, const std::filesystem::path& folder);

/// config.json of the dense model, byte for byte where the checkpoint has such a file.
void copy_config(const Checkpoint& checkpoint, const std::filesystem::path& folder);

/// Throws Error(kInput) when the disk under `folder` has less room than `bytes`.
void require_space(const std::filesystem::path& folder, std::size_t bytes);

}  // namespace sgpt_mi::formats
