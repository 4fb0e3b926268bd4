#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace sgpt_mi::text {

/// Token windows of equal length: ids (windows, seqlen), row-major.
struct TokenWindows {
  std::vector<std::int32_t> ids;
  std::int64_t windows = 0;
  std::int64_t seqlen = 0;

  /// core's token_sha256 over all ids.
  [[nodiscard]] std::string sha256() const;
};

/// Cuts a token list into numel // seqlen windows that do not overlap; the tail is dropped.
/// Throws Error(kInput) when the list is shorter than one window.
[[nodiscard]] TokenWindows cut_windows(std::span<const std::int32_t> ids, std::int64_t seqlen);

/// Windows of independent ids, uniform in [0, vocabulary), by CPython's generator: for models
/// without a language.
[[nodiscard]] TokenWindows random_windows(std::int64_t vocabulary, std::int64_t windows,
                                          std::int64_t seqlen, std::uint64_t seed);

/// Recorded windows: the integer tensor `input_ids (windows, seqlen)` of a safetensors file.
/// Throws Error(kInput) when it is missing, not integer, not two-dimensional or has negative ids.
[[nodiscard]] TokenWindows read_recorded_windows(const std::filesystem::path& path);

/// The first or the last `count` windows of a set.
[[nodiscard]] TokenWindows first_windows(const TokenWindows& windows, std::int64_t count);
[[nodiscard]] TokenWindows last_windows(const TokenWindows& windows, std::int64_t count);

}  // namespace sgpt_mi::text
