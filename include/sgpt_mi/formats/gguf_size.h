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

/// What the GGUF file of a checkpoint, in one piece, consists of.
struct GgufSize {
  std::int64_t blocks = 0;  ///< matrices in the types asked for
  std::int64_t dense = 0;   ///< all other tensors
  std::int64_t file = 0;    ///< these with header and padding

  [[nodiscard]] std::int64_t headers() const { return file - blocks - dense; }
};

/// Exactly: matrices of `types` in those types, all others in the blocks that the checkpoint has
/// them in, or else as put() stores them. Throws as
/// Format::check does.
[[nodiscard]] GgufSize gguf_size(const Checkpoint& checkpoint, const SavedTypes& saved,
                                 const BlockTypes& types);

}  // namespace sgpt_mi::formats
