#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "arithmetic.h"

namespace sgpt_mi::kernels {

constexpr int kRadixBits = 11;
using RadixHistogram = std::array<std::uint64_t, std::size_t{1} << kRadixBits>;

/// One digit of the 32-bit keys: the `bits` bits above `shift`, of the keys whose higher bits are
/// `prefix`.
struct RadixDigit {
  std::uint64_t prefix;
  int shift;
  int bits;

  SGPT_MI_HOST_DEVICE bool matches(std::uint32_t key) const {
    return (static_cast<std::uint64_t>(key) >> (shift + bits)) == prefix;
  }
  SGPT_MI_HOST_DEVICE std::uint32_t bucket(std::uint32_t key) const {
    return (key >> shift) & ((1U << bits) - 1U);
  }
};

/// The value at place k of a set of floats, found digit by digit from the top: histogram(digit)
/// counts the keys that match the digit's prefix by bucket.
template <typename Histogram>
float radix_select(std::int64_t k, const Histogram& histogram) {
  auto left = static_cast<std::uint64_t>(k);
  std::uint64_t prefix = 0;
  int shift = 32;
  while (shift > 0) {
    const int bits = shift < kRadixBits ? shift : kRadixBits;
    shift -= bits;
    const RadixHistogram counts = histogram(RadixDigit{prefix, shift, bits});
    std::size_t bucket = 0;
    while (left >= counts[bucket]) left -= counts[bucket++];
    prefix = (prefix << bits) | bucket;
  }
  const std::uint32_t bits = bits_of_key(static_cast<std::uint32_t>(prefix));
  float value = 0.0F;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace sgpt_mi::kernels
