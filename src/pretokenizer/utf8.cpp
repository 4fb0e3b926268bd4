#include "sgpt_mi/pretokenizer/utf8.h"

#include <cstdint>
#include <cstring>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::pretokenizer {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080U;

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

/// Size of the valid character at the start of `text`, or 0.
std::size_t valid_character_size(std::string_view text) {
  const unsigned char lead = byte_at(text, 0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t size = character_size(text[0]);
  if (text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte_at(text, i) & 0xC0) != 0x80) return 0;
  }
  const char32_t value = code_point(text.substr(0, size));
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return value < kSmallest[size] || value > 0x10FFFF || surrogate ? 0 : size;
}

}  // namespace

void check_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (i + sizeof(std::uint64_t) <= text.size()) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & kHighBits) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    const std::size_t size = valid_character_size(text.substr(i));
    if (size == 0) {
      fail(ErrorKind::kInput,
           "text: byte 0x{:02X} at offset {} is not UTF-8; expected a UTF-8 text; convert the file",
           byte_at(text, i), i);
    }
    i += size;
  }
}

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      shown += fmt::format("\\x{:02X}", byte);
    } else {
      shown += c;
    }
  }
  return shown;
}

char32_t code_point(std::string_view character) {
  const unsigned char lead = byte_at(character, 0);
  if (lead < 0x80) return lead;
  const std::size_t size = character_size(character[0]);
  char32_t value = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) value = (value << 6) | (byte_at(character, i) & 0x3FU);
  return value;
}

std::string_view first_character(std::string_view text) {
  return text.substr(0, character_size(text[0]));
}

std::string_view last_character(std::string_view text) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (byte_at(text, start) & 0xC0) == 0x80) --start;
  return text.substr(start);
}

}  // namespace sgpt_mi::pretokenizer
