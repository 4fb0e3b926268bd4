#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::integer_layouts {

// GPTQ and compressed-tensors pack codes along one dimension: the codes of one line are a little-
// endian bit string, lowest bits first, filled up to whole words of 32 bits.

/// ceil(length * bits / 32).
[[nodiscard]] std::int64_t words_of(std::int64_t length, int bits);

/// (lines, length) codes as (lines, words) little-endian 32-bit words.
[[nodiscard]] std::vector<std::byte> pack_lines(std::span<const std::uint8_t> codes,
                                                std::int64_t lines, std::int64_t length, int bits);

/// The same backwards. `words` has lines * words_of(length, bits) words.
[[nodiscard]] std::vector<std::uint8_t> unpack_lines(std::span<const std::byte> words,
                                                     std::int64_t lines, std::int64_t length,
                                                     int bits);

/// A (rows, columns) matrix of elements of `size` bytes as (columns, rows).
[[nodiscard]] std::vector<std::byte> transposed(std::span<const std::byte> elements,
                                                std::int64_t rows, std::int64_t columns,
                                                std::size_t size);

/// The width of a matrix whose columns all have one. Throws Error(kInternal) where they differ, are
/// not codes, or share grids between rows: a format that holds no such grids was given them.
[[nodiscard]] int width_of(const packing::CodedMatrix& matrix);

/// Codes in natural order; a pruned weight's is its grid's zero point.
[[nodiscard]] std::vector<std::uint8_t> codes_with_zeros(const packing::CodedMatrix& matrix);

/// Scales of F16, BF16 or F32 as floats. Throws Error(kInput) naming the tensor for other types and
/// for scales that are not finite.
[[nodiscard]] std::vector<float> read_scales(const containers::TensorData& scales,
                                             const std::string& source);

/// The tensor `name`. Throws Error(kInput) when it is missing or empty: nothing then bounds what
/// its shape says.
[[nodiscard]] const containers::TensorInfo& need(const containers::TensorSource& tensors,
                                                 const std::string& name,
                                                 const std::string& source);

/// Throws Error(kInput): "formats: SOURCE: ...".
template <typename... Args>
[[noreturn]] void refuse(const std::string& source, fmt::format_string<Args...> format,
                         Args&&... args) {
  fail(ErrorKind::kInput, "formats: {}: {}", source,
       fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error(kInput) unless the tensor has this type and shape.
void require_tensor(const containers::TensorInfo& info, DType dtype,
                    const std::vector<std::int64_t>& shape, const std::string& source);

/// Bytes of numbers as they lie in memory, which is little-endian.
template <typename T>
[[nodiscard]] std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

}  // namespace sgpt_mi::integer_layouts
