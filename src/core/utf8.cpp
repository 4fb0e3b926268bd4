#include "sgpt_mi/core/utf8.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sgpt_mi {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080U;

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

/// Bytes of the character that such a lead announces; 0 when it is no lead.
std::size_t announced_size(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;  // a tail, only overlong forms, beyond U+10FFFF
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

void append_escape(std::string& to, char c) {
  switch (c) {
    case '\n':
      to += "\\n";
      break;
    case '\r':
      to += "\\r";
      break;
    case '\t':
      to += "\\t";
      break;
    default:
      to += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
  }
}

/// Whether a valid character is a control character of the ranges C0 and C1, or delete.
bool is_control(std::string_view character) {
  const unsigned char lead = byte_at(character, 0);
  if (character.size() == 1) return lead < 0x20 || lead == 0x7F;
  return lead == 0xC2 && byte_at(character, 1) < 0xA0;
}

}  // namespace

std::size_t utf8_character_size(std::string_view text) {
  const unsigned char lead = byte_at(text, 0);
  const std::size_t size = announced_size(lead);
  if (size < 2) return size;
  if (text.size() < size) return 0;
  char32_t value = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_utf8_tail(text[i])) return 0;
    value = (value << 6) | (byte_at(text, i) & 0x3FU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  return value < kSmallest[size] || value > 0x10FFFF || surrogate ? 0 : size;
}

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
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
    const std::size_t size = utf8_character_size(text.substr(i));
    if (size == 0) return i;
    i += size;
  }
  return std::nullopt;
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t valid = utf8_character_size(text);
    const std::size_t size = std::max<std::size_t>(valid, 1);
    if (valid == 0 || is_control(text.substr(0, size))) {
      for (const char c : text.substr(0, size)) append_escape(shown, c);
    } else {
      shown += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return shown;
}

std::string printable_excerpt(std::string_view text, std::size_t offset, std::size_t before,
                              std::size_t after) {
  std::size_t begin = offset - std::min(offset, before);
  while (begin < offset && is_utf8_tail(text[begin])) ++begin;
  std::size_t end = std::min(text.size(), offset + after);
  constexpr std::size_t kMostTails = 3;
  for (std::size_t i = 0; i < kMostTails && end < text.size() && is_utf8_tail(text[end]); ++i)
    ++end;
  return printable(text.substr(begin, end - begin));
}

}  // namespace sgpt_mi
