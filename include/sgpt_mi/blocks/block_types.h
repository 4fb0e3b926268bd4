#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::blocks {

/// A tensor type of GGUF. Quantized types pack a block of consecutive elements of a row.
struct BlockType {
  std::uint32_t id;             ///< number in the file
  std::string_view name;        ///< as ggml calls it
  std::int64_t block_elements;  ///< elements of a block
  std::int64_t block_bytes;     ///< bytes of a block
  std::optional<DType> dtype;   ///< the same type in a checkpoint; nothing when it is quantized
  /// Unpacks one block into block_elements floats; null when dtype is set.
  void (*unpack)(const std::byte* block, float* out);
};

/// A weight matrix in blocks of one type, row after row, as a GGUF file holds it.
struct EncodedMatrix {
  const BlockType* type = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;  ///< a multiple of type->block_elements
  std::span<const std::byte> bytes;

  /// Bytes of one row.
  [[nodiscard]] std::int64_t row_bytes() const {
    return columns / type->block_elements * type->block_bytes;
  }
};

/// The type with this number, or nullptr when it is not read.
[[nodiscard]] const BlockType* find_block_type(std::uint32_t id);

/// ggml's name for a type number, known to this program or not.
[[nodiscard]] std::string_view block_type_name(std::uint32_t id);

}  // namespace sgpt_mi::blocks
