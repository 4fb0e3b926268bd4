#include "sgpt_mi/pretokenizer/byte_alphabet.h"

#include <array>
#include <cstddef>

#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::pretokenizer {
namespace {

constexpr std::size_t kLetters = 256 + 68;
constexpr int kNoByte = -1;

bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// Byte of each code point of the alphabet.
std::array<int, kLetters> make_byte_of_letter() {
  std::array<int, kLetters> byte_of{};
  byte_of.fill(kNoByte);
  std::size_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_of[stands_for_itself(byte) ? byte : next++] = static_cast<int>(byte);
  }
  return byte_of;
}

}  // namespace

std::optional<std::string> bytes_of_token(std::string_view token) {
  static const std::array<int, kLetters> kByteOfLetter = make_byte_of_letter();
  std::string bytes;
  for (std::size_t i = 0; i < token.size();) {
    const std::string_view letter = token.substr(i, character_size(token[i]));
    const char32_t value = code_point(letter);
    if (value >= kLetters || kByteOfLetter[value] == kNoByte) return std::nullopt;
    bytes += static_cast<char>(kByteOfLetter[value]);
    i += letter.size();
  }
  return bytes;
}

}  // namespace sgpt_mi::pretokenizer
