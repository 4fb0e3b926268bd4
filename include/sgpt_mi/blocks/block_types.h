#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sgpt_mi/core/dtype.h"

namespace sgpt_mi::blocks {

/// How the codes of a group of weights become values; `scale` and `offset` belong to the group.
enum class BlockForm : std::uint8_t {
  kPlain,   ///< no codes: a floating type
  kShift,   ///< scale * (code - shift): zero is a value
  kOffset,  ///< scale * code + offset
  kTable    ///< scale * kTable4[code]
};

/// The levels of ggml's 4-bit types with a table (kvalues_iq4nl), ascending. Zero is none of them.
inline constexpr std::array<float, 16> kTable4{-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

/// The parts of one block: what its bytes hold.
///
/// A group's scale is super_scale * sub_scale, and its offset -(super_minimum * sub_minimum), one
/// rounding each in float32. Types without a second level have one group a block and 1 for the
/// factors of that level.
struct BlockParts {
  const std::uint8_t* codes = nullptr;  ///< block_elements
  float super_scale = 0.0F;             ///< a binary16 number
  float super_minimum = 0.0F;           ///< a binary16 number; of kOffset
  const float* sub_scale = nullptr;     ///< one a group: whole numbers in the type's range
  const float* sub_minimum = nullptr;   ///< the same; of kOffset
};

/// A tensor type of GGUF. Quantized types pack a block of consecutive elements of a row.
struct BlockType {
  std::uint32_t id;             ///< number in the file
  std::string_view name;        ///< as ggml calls it
  std::int64_t block_elements;  ///< elements of a block
  std::int64_t block_bytes;     ///< bytes of a block
  std::optional<DType> dtype;   ///< the same type in a checkpoint; nothing when it is quantized
  /// Unpacks one block into block_elements floats; null when dtype is set.
  void (*unpack)(const std::byte* block, float* out) = nullptr;
  /// Packs one block; null when dtype is set or the type is only read. The inverse of unpack, bit
  /// for bit.
  void (*pack)(const BlockParts& parts, std::byte* block) = nullptr;

  BlockForm form = BlockForm::kPlain;
  int code_bits = 0;
  std::int64_t group = 0;  ///< elements that share scale and offset
  float shift = 0.0F;      ///< of kShift
  float least_sub = 1.0F;  ///< range of sub_scale; sub_minimum is within [0, most_sub]
  float most_sub = 1.0F;

  [[nodiscard]] float max_code() const { return static_cast<float>((1 << code_bits) - 1); }
  /// Whether groups have factors of their own below the block's.
  [[nodiscard]] bool has_subs() const { return group < block_elements; }
  /// Whether 0 is a value of every grid, so that pruned weights stay exactly zero.
  [[nodiscard]] bool holds_zero() const { return form == BlockForm::kShift; }
  /// Stored bits of one weight.
  [[nodiscard]] double bits() const {
    return 8.0 * static_cast<double>(block_bytes) / static_cast<double>(block_elements);
  }
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

/// All types that are read and written, in the order of their stored bits.
[[nodiscard]] std::span<const BlockType> block_types();

/// The type with this number, or nullptr when it is not read. Of a type that is not among
/// block_types() nothing is set from `pack` on.
[[nodiscard]] const BlockType* find_block_type(std::uint32_t id);

/// The type of block_types() with this name in any case of letters ("q4_k"), or nullptr.
[[nodiscard]] const BlockType* find_block_type(std::string_view name);

/// The names of all types that are read: "IQ1_S, TQ1_0 ... or F32".
[[nodiscard]] std::string read_type_names();

/// ggml's name for a type number, known to this program or not.
[[nodiscard]] std::string_view block_type_name(std::uint32_t id);

}  // namespace sgpt_mi::blocks
