#include "utf8_text.h"

#include <optional>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::documents {
namespace {

/// \r\n and \r as \n, in place.
void unify_newlines(std::string& text) {
  std::size_t to = text.find('\r');
  if (to == std::string::npos) return;
  bool after_return = false;
  for (std::size_t from = to; from < text.size(); ++from) {
    const char c = text[from];
    if (c != '\n' || !after_return) text[to++] = c == '\r' ? '\n' : c;
    after_return = c == '\r';
  }
  text.resize(to);
}

}  // namespace

std::string excerpt_around(std::string_view text, std::size_t offset) {
  constexpr std::size_t kBefore = 24;
  constexpr std::size_t kAfter = 16;
  return printable_excerpt(text, offset, kBefore, kAfter);
}

void refuse_byte(const BadByte& bad, const std::string& label, const std::string& place) {
  fail(
      ErrorKind::kInput,
      "io: {}: byte 0x{:02X} at offset {}{}{} is not UTF-8, in \"{}\"; expected UTF-8; convert the "
      "file, such as with iconv -f LATIN1 -t UTF-8",
      label, bad.byte, bad.offset, place.empty() ? "" : " ", place, bad.excerpt);
}

std::string place_of(std::string_view packing) {
  return packing.empty() ? std::string() : fmt::format("of the text that {} packs", packing);
}

void check_utf8(std::string_view text, const std::string& label, const std::string& place) {
  const std::optional<std::size_t> invalid = first_invalid_utf8(text);
  if (!invalid) return;
  refuse_byte(
      {*invalid, static_cast<unsigned char>(text[*invalid]), excerpt_around(text, *invalid)}, label,
      place);
}

std::string to_text(std::string bytes, const std::string& label, std::string_view packing) {
  check_utf8(bytes, label, place_of(packing));
  if (bytes.starts_with(kByteOrderMark)) bytes.erase(0, kByteOrderMark.size());
  unify_newlines(bytes);
  return bytes;
}

}  // namespace sgpt_mi::documents
