#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sgpt_mi {

/// The bytes that a size such as "300MB" means, fractions of a byte rounded to the nearest.
///
/// A non-negative decimal number, blanks if any, and a unit: none or B; kB, MB, GB, TB (powers of
/// 1000); KiB, MiB, GiB, TiB (powers of 1024). Upper and lower case are the same: nothing here is
/// counted in bits. The inverse for people is human_bytes.
///
/// \throws Error(kUsage) naming the text: no number, an unknown unit, 2^63 bytes or more.
[[nodiscard]] std::int64_t parse_bytes(std::string_view text);

/// Bytes for people: "6.9 MB" (decimal units).
[[nodiscard]] std::string human_bytes(std::int64_t bytes);

}  // namespace sgpt_mi
