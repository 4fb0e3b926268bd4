#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::flags {

/// What can be offered where a value is to be typed.
struct ValueOffer {
  std::vector<std::string> choices;
  bool files = false;
  bool folders = false;  ///< folders only; `files` covers both

  bool operator==(const ValueOffer&) const = default;
};

/// Reads FlagRow::value or Positional::value: "auto|cpu|cuda|cuda:N" offers auto, cpu and cuda.
[[nodiscard]] ValueOffer value_offer(std::string_view value);

/// A script for `shell` (bash, zsh, fish) that completes subcommands, flags and values of sgpt-mi,
/// made from the tables of both. bash reads it by `source <(sgpt-mi completion bash)`.
/// Throws Error(kUsage) naming the shells when there is none for this one.
[[nodiscard]] std::string completion_script(const std::string& shell);

}  // namespace sgpt_mi::flags
