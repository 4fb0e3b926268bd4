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

/// UTF-8 of a letter, below U+0800.
std::string letter_text(std::size_t letter) {
  if (letter < 0x80) return {static_cast<char>(letter)};
  return {static_cast<char>(0xC0U | (letter >> 6)), static_cast<char>(0x80U | (letter & 0x3FU))};
}

std::array<std::string, 256> make_letter_of_byte() {
  std::array<std::string, 256> letters;
  const std::array<int, kLetters> byte_of = make_byte_of_letter();
  for (std::size_t letter = 0; letter < kLetters; ++letter) {
    if (byte_of[letter] != kNoByte) {
      letters[static_cast<std::size_t>(byte_of[letter])] = letter_text(letter);
    }
  }
  return letters;
}

}  // namespace

std::string letters_of_bytes(std::string_view bytes) {
  static const std::array<std::string, 256> kLetterOfByte = make_letter_of_byte();
  std::string letters;
  for (const char byte : bytes) letters += kLetterOfByte[static_cast<unsigned char>(byte)];
  return letters;
}

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
