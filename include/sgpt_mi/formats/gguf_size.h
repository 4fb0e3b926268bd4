#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/formats/checkpoint.h"
#include "sgpt_mi/formats/weight_store.h"

namespace sgpt_mi::formats {

/// Types of matrices NAME (the tensor NAME.weight) in a GGUF file.
using BlockTypes = std::map<std::string, const blocks::BlockType*>;

/// Bytes of the GGUF file of a checkpoint in one piece, header included, exactly: matrices of
/// `types` in those types, all others as put() stores them. Throws as Format::check does.
[[nodiscard]] std::int64_t gguf_file_bytes(const Checkpoint& checkpoint, const SavedTypes& saved,
                                           const BlockTypes& types);

}  // namespace sgpt_mi::formats
