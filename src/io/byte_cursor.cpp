#include "sgpt_mi/io/byte_cursor.h"

#include <algorithm>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::io {

std::span<const std::byte> ByteCursor::take(std::uint64_t count, std::string_view what) {
  if (count > left()) {
    fail(ErrorKind::kInput,
         "io: {}: {} at byte {} needs {} bytes, but only {} are left: the file is cut or damaged, "
         "get it again",
         label_, what, at_, count, left());
  }
  const std::span<const std::byte> part = bytes_.subspan(at_, static_cast<std::size_t>(count));
  at_ += part.size();
  return part;
}

std::string_view ByteCursor::take_text(std::uint64_t count, std::string_view what) {
  const std::span<const std::byte> part = take(count, what);
  return {reinterpret_cast<const char*>(part.data()), part.size()};
}

std::string_view ByteCursor::take_line(std::string_view what) {
  const std::span<const std::byte> rest = bytes_.subspan(at_);
  const auto newline = std::find(rest.begin(), rest.end(), std::byte{'\n'});
  const auto length = static_cast<std::uint64_t>(newline - rest.begin());
  // Without a newline, the byte after the line is missing and take() says so.
  return take_text(length + 1, what).substr(0, static_cast<std::size_t>(length));
}

}  // namespace sgpt_mi::io
