#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sgpt_mi::documents {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  ///< U+FEFF in UTF-8

/// What a message shows of a text around one of its bytes.
[[nodiscard]] std::string excerpt_around(std::string_view text, std::size_t offset);

/// A byte that is not UTF-8.
struct BadByte {
  std::size_t offset = 0;
  unsigned char byte = 0;
  std::string excerpt;
};

/// Throws Error(kInput) for such a byte. `place` says what the offset counts in, such as "of the
/// text that gzip packs"; empty for the file itself.
[[noreturn]] void refuse_byte(const BadByte& bad, const std::string& label,
                              const std::string& place);

/// What the offset in a file's unpacked text counts in.
[[nodiscard]] std::string place_of(std::string_view packing);

/// Throws as refuse_byte unless `text` is UTF-8.
void check_utf8(std::string_view text, const std::string& label, const std::string& place);

/// A text file's bytes as Python's open() in text mode gives them: UTF-8, checked, without a byte
/// order mark, every line ended by \n. Throws as refuse_byte.
[[nodiscard]] std::string to_text(std::string bytes, const std::string& label,
                                  std::string_view packing);

}  // namespace sgpt_mi::documents
