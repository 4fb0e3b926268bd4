#pragma once

#include <cstdint>

namespace sgpt_mi::kernels {

/// Bytes of a bit stream of `count` codes of `width` bits.
constexpr std::int64_t packed_bytes(std::int64_t count, int width) {
  return (count * width + 7) / 8;
}

/// Writes codes as a bit stream without gaps: bit b of code i becomes bit i * width + b of the
/// stream, and bit k of the stream is bit k % 8 (counted from the least significant) of byte k / 8.
///
/// Every position follows from the index alone, and 8 codes fill `width` whole bytes, so that each
/// such run can be packed and unpacked by itself.
///
/// Cost: about two operations per code.
///
/// \param codes   `count` bytes, each below 2^width.
/// \param width   1 to 8.
/// \param packed  out: packed_bytes(count, width) bytes; the last byte's unused bits are 0.
/// \throws Error(kInternal) a code does not fit, a width outside 1 to 8.
void pack_bits(const std::uint8_t* codes, std::int64_t count, int width, std::uint8_t* packed);

/// How many of the bits first .. first + count - 1 of a stream are set.
[[nodiscard]] std::int64_t count_bits(const std::uint8_t* packed, std::int64_t first,
                                      std::int64_t count);

/// Reads codes first .. first + count - 1 of a stream that pack_bits wrote; no byte outside
/// theirs is touched.
/// \param codes  out: `count` bytes.
/// \throws Error(kInternal) a width outside 1 to 8.
void unpack_bits(const std::uint8_t* packed, std::int64_t first, std::int64_t count, int width,
                 std::uint8_t* codes);

}  // namespace sgpt_mi::kernels
