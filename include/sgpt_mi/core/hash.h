#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sgpt_mi {

/// Incremental SHA-256 (OpenSSL).
class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void update(std::span<const std::byte> bytes);

  /// 64 lower-case hex digits. The object is spent afterwards.
  [[nodiscard]] std::string hex_digest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-256 of a text's bytes, 64 hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view text);

/// SHA-256 of token ids as consecutive little-endian int32 without header, 64 hex digits:
/// the token hash that reports and golden files carry.
[[nodiscard]] std::string token_sha256(std::span<const std::int32_t> ids);

}  // namespace sgpt_mi
