#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf_file.h"

namespace sgpt_mi::gguf {

/// Encodes metadata entries one after the other, as parse_gguf reads them.
class MetadataBuilder {
 public:
  void text(std::string_view key, std::string_view value);
  void short_whole(std::string_view key, std::uint16_t value);
  void whole(std::string_view key, std::uint32_t value);
  void signed_whole(std::string_view key, std::int32_t value);
  void real(std::string_view key, float value);
  void flag(std::string_view key, bool value);
  void texts(std::string_view key, const std::vector<std::string>& values);
  void reals(std::string_view key, const std::vector<float>& values);
  void wholes(std::string_view key, const std::vector<std::int32_t>& values);
  /// A value of another file as it is there.
  void copy(std::string_view key, const GgufValue& value);

  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, GgufKind kind);
  void begin_array(std::string_view key, GgufKind element, std::size_t count);

  std::uint64_t entries_ = 0;
  std::string bytes_;
};

/// Appends a number's little-endian bytes.
template <typename T>
void append_number(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Appends a text with its length in front.
void append_text(std::string& bytes, std::string_view text);

}  // namespace sgpt_mi::gguf
