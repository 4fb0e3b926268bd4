#include "json_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "number_words.h"
#include "sgpt_mi/core/utf8.h"

namespace sgpt_mi::documents {
namespace {

constexpr std::size_t kReadBytes = 1 << 16;
constexpr std::size_t kContextBytes = 64;  ///< kept of what was read, for messages

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

JsonBuffer::JsonBuffer(ReadBytes read)
    : read_(NumberWords(std::move(read))), buffer_(kContextBytes + kReadBytes, '\0') {
  setg(buffer_.data(), buffer_.data(), buffer_.data());
}

void JsonBuffer::skip_mark() {
  if (sgetc() == traits_type::eof()) return;
  const std::string_view ahead(gptr(), static_cast<std::size_t>(egptr() - gptr()));
  if (ahead.starts_with(kByteOrderMark)) gbump(static_cast<int>(kByteOrderMark.size()));
}

bool JsonBuffer::skip_blanks() {
  int_type c = sgetc();
  while (c != traits_type::eof() && is_blank(traits_type::to_char_type(c))) c = snextc();
  return c != traits_type::eof();
}

std::size_t JsonBuffer::line() {
  const char* from = eback() + counted_;
  line_ += static_cast<std::size_t>(std::count(from, static_cast<const char*>(gptr()), '\n'));
  counted_ = static_cast<std::size_t>(gptr() - eback());
  return line_;
}

std::optional<BadByte> JsonBuffer::bad_byte() const {
  constexpr std::size_t kLongestCharacter = 4;
  const std::string_view all(eback(), static_cast<std::size_t>(egptr() - eback()));
  const auto passed = static_cast<std::size_t>(gptr() - eback());
  std::size_t begin = passed - std::min(passed, kContextBytes);
  for (std::size_t i = 1; i < kLongestCharacter && begin > 0 && begin < passed; ++i) {
    if (!is_utf8_tail(all[begin])) break;
    ++begin;
  }
  // The parser stops inside a character; what belongs to it may follow.
  const std::string_view part = all.substr(begin, passed - begin + kLongestCharacter - 1);
  const std::optional<std::size_t> invalid = first_invalid_utf8(part);
  if (!invalid || begin + *invalid >= passed) return std::nullopt;
  const std::size_t at = begin + *invalid;
  return BadByte{buffer_offset_ + at, static_cast<unsigned char>(all[at]), excerpt_around(all, at)};
}

JsonBuffer::int_type JsonBuffer::underflow() {
  static_cast<void>(line());
  const std::size_t kept = std::min<std::size_t>(counted_, kContextBytes);
  char* start = buffer_.data();
  buffer_offset_ += counted_ - kept;
  std::memmove(start, gptr() - kept, kept);
  counted_ = kept;
  const std::size_t count = read_(std::span(buffer_).subspan(kContextBytes).first(kReadBytes));
  std::memmove(start + kept, start + kContextBytes, count);
  setg(start, start + kept, start + kept + count);
  if (count == 0) hit_end_ = true;
  return count == 0 ? traits_type::eof() : traits_type::to_int_type(*gptr());
}

}  // namespace sgpt_mi::documents
