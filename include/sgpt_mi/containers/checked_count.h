#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace sgpt_mi::containers {

/// The product of sizes that come from a file, or nothing when one is negative or the product
/// passes int64. An empty shape has one element.
[[nodiscard]] inline std::optional<std::int64_t> checked_count(
    std::span<const std::int64_t> sizes) {
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return product;
}

}  // namespace sgpt_mi::containers
