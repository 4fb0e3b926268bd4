#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sgpt_mi {

/// Whether a byte goes on with a character instead of beginning one.
[[nodiscard]] inline bool is_utf8_tail(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0 when it begins with
/// none: a tail without a lead, a character that is cut, overlong, a surrogate or above U+10FFFF.
[[nodiscard]] std::size_t utf8_character_size(std::string_view text);

/// Offset of the first byte that no UTF-8 character begins with; nothing in valid UTF-8.
[[nodiscard]] std::optional<std::size_t> first_invalid_utf8(std::string_view text);

/// A piece of a foreign text that can be shown in a message: newline, carriage return and tab as
/// \n, \r and \t, other control characters and bytes that are not UTF-8 as \xNN, byte by byte.
[[nodiscard]] std::string printable(std::string_view text);

/// printable() of what lies around `offset`: `before` and `after` bytes, cut at characters.
[[nodiscard]] std::string printable_excerpt(std::string_view text, std::size_t offset,
                                            std::size_t before, std::size_t after);

}  // namespace sgpt_mi
