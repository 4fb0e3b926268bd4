#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>

#include "utf8_text.h"

namespace sgpt_mi::documents {

/// Fills a buffer with the next bytes of a text and returns how many; 0 at the end.
using ReadBytes = std::function<std::size_t(std::span<char> out)>;

/// A JSON text on its way into the parser, piece by piece, that knows where it is. NaN and
/// Infinity, which are no JSON and which Python writes, count as numbers (number_words.h).
class JsonBuffer : public std::streambuf {
 public:
  explicit JsonBuffer(ReadBytes read);

  /// Passes a byte order mark, once at the start.
  void skip_mark();

  /// Passes white space. Whether anything follows.
  bool skip_blanks();

  /// The byte that comes next; only when skip_blanks() said that one does.
  [[nodiscard]] char next() const { return *gptr(); }

  /// Whether somebody wanted a byte beyond the end.
  [[nodiscard]] bool hit_end() const { return hit_end_; }

  /// Number of the line at which the next byte stands, from 1. Cost over a whole text: one pass.
  [[nodiscard]] std::size_t line();

  /// What in the bytes around the next one is not UTF-8, if anything is.
  [[nodiscard]] std::optional<BadByte> bad_byte() const;

 protected:
  int_type underflow() override;

 private:
  ReadBytes read_;
  std::string buffer_;
  std::size_t buffer_offset_ = 0;  ///< of the buffer's first byte in the text
  std::size_t counted_ = 0;        ///< bytes of the buffer whose newlines are in line_
  std::size_t line_ = 1;
  bool hit_end_ = false;
};

}  // namespace sgpt_mi::documents
