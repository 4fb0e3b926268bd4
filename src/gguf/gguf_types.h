#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::gguf {

/// A tensor type of GGUF. Quantized types pack a block of consecutive elements of a row.
struct GgufType {
  std::uint32_t id;             ///< number in the file
  std::string_view name;        ///< as ggml calls it
  std::int64_t block_elements;  ///< elements of a block
  std::int64_t block_bytes;     ///< bytes of a block
  std::optional<DType> dtype;   ///< the same type in a checkpoint; nothing when it is quantized
  /// Unpacks one block into block_elements floats; null when dtype is set.
  void (*unpack)(const std::byte* block, float* out);
};

/// The type with this number, or nullptr when it is not read.
[[nodiscard]] const GgufType* find_gguf_type(std::uint32_t id);

/// ggml's name for a type number, known to this program or not.
[[nodiscard]] std::string_view gguf_type_name(std::uint32_t id);

}  // namespace sgpt_mi::gguf
