#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sgpt_mi::pretokenizer {

/// Throws Error(kInput) with the offset of the first byte that is not UTF-8 (overlong forms,
/// surrogates and values above U+10FFFF included).
void check_utf8(std::string_view text);

/// Bytes of the character that begins with `lead`, in valid UTF-8.
[[nodiscard]] inline std::size_t character_size(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte < 0x80) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

/// The text with control characters written as \xNN, for messages.
[[nodiscard]] std::string printable(std::string_view text);

/// The code point of one character, given as its bytes in valid UTF-8.
[[nodiscard]] char32_t code_point(std::string_view character);

/// The first and the last character of a non-empty valid text, as their bytes.
[[nodiscard]] std::string_view first_character(std::string_view text);
[[nodiscard]] std::string_view last_character(std::string_view text);

}  // namespace sgpt_mi::pretokenizer
