#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sgpt_mi::pretokenizer {

/// The bytes that a token of a byte-level vocabulary stands for, or nothing when it has a character
/// outside the alphabet (such a token can never be produced by merging bytes).
///
/// GPT-2 writes every byte as one printable character: '!'..'~', U+00A1..U+00AC and U+00AE..U+00FF
/// stand for themselves, the other 68 bytes in rising order for U+0100, U+0101, ...
/// (Radford et al. 2019, encoder.py, bytes_to_unicode).
[[nodiscard]] std::optional<std::string> bytes_of_token(std::string_view token);

/// Bytes written in that alphabet; the inverse of bytes_of_token.
[[nodiscard]] std::string letters_of_bytes(std::string_view bytes);

}  // namespace sgpt_mi::pretokenizer
