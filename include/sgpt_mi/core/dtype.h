#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sgpt_mi {

/// Element types that occur in checkpoints. Names follow safetensors.
enum class DType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

/// Bytes of one element.
[[nodiscard]] std::size_t dtype_size(DType dtype);

/// The safetensors name ("F32", "BF16", "BOOL", ...).
[[nodiscard]] std::string_view dtype_name(DType dtype);

/// The type with this safetensors name, or nothing.
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name);

/// Whether values of the type are floating point.
[[nodiscard]] bool is_floating(DType dtype);

}  // namespace sgpt_mi
