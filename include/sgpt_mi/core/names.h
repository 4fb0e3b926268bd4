#pragma once

#include <array>
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

}  // namespace sgpt_mi
