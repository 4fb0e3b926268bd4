#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "json_buffer.h"

namespace sgpt_mi::documents {

/// Bytes of a JSON text with the words NaN, Infinity and -Infinity, which Python and pandas write
/// for numbers, replaced by numbers of as many digits. In strings they stay. Nobody asks for the
/// numbers of a record, and offsets stay what they are in the file.
class NumberWords {
 public:
  explicit NumberWords(ReadBytes read) : read_(std::move(read)) {}

  /// As ReadBytes. \param out  longer than a word.
  std::size_t operator()(std::span<char> out);

 private:
  std::size_t replace(std::span<char> bytes, bool at_end);

  ReadBytes read_;
  std::string held_;  ///< read, not handed out: may be the start of a word
  char before_ = ' ';
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace sgpt_mi::documents
