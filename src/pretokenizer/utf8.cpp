#include "sgpt_mi/pretokenizer/utf8.h"

#include <optional>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::pretokenizer {
namespace {

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

}  // namespace

void check_utf8(std::string_view text) {
  const std::optional<std::size_t> invalid = first_invalid_utf8(text);
  if (!invalid) return;
  fail(ErrorKind::kInput,
       "text: byte 0x{:02X} at offset {} is not UTF-8; expected a UTF-8 text; convert the file",
       byte_at(text, *invalid), *invalid);
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
