#pragma once

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi {

/// The names by which the values of a choice are known to users, in the order in which they are
/// listed.
template <typename Value, std::size_t Count>
using Names = std::array<std::pair<std::string_view, Value>, Count>;

/// Throws Error(kUsage) listing the names.
template <typename Value, std::size_t Count>
Value parse_name(const Names<Value, Count>& names, std::string_view what, const std::string& text) {
  std::string known;
  for (const auto& [name, value] : names) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fail(ErrorKind::kUsage, "{}: '{}' is unknown; there are {}", what, text, known);
}

template <typename Value, std::size_t Count>
std::string name_of(const Names<Value, Count>& names, Value wanted) {
  for (const auto& [name, value] : names) {
    if (value == wanted) return std::string(name);
  }
  fail(ErrorKind::kInternal, "pipeline: no name for option {}", static_cast<int>(wanted));
}

/// The number that the whole of a text is; nothing when it is none.
template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(value) : std::nullopt;
}

}  // namespace sgpt_mi
