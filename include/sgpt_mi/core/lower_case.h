#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace sgpt_mi {

/// A text with the letters A to Z in lower case; other bytes stay, whatever the locale.
[[nodiscard]] inline std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

}  // namespace sgpt_mi
