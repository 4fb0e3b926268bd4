#include "number_words.h"

#include <algorithm>
#include <string_view>

namespace sgpt_mi::documents {
namespace {

/// The word that the first letter of one stands for; nothing where no number can begin.
std::string_view word_at(char letter, char before) {
  constexpr std::string_view kBeforeNumbers = " \t\r\n:,[";
  const bool begins = kBeforeNumbers.find(before) != std::string_view::npos;
  if (letter == 'N' && begins) return "NaN";
  if (letter == 'I' && (begins || before == '-')) return "Infinity";
  return {};
}

/// Whether a word ends before this byte.
bool ends_word(char next) {
  constexpr std::string_view kBehindNumbers = " \t\r\n,]}";
  return kBehindNumbers.find(next) != std::string_view::npos;
}

}  // namespace

std::size_t NumberWords::operator()(std::span<char> out) {
  while (true) {
    std::size_t count = held_.copy(out.data(), held_.size());
    held_.clear();
    const std::size_t more = read_(out.subspan(count));
    count = replace(out.first(count + more), more == 0);
    if (count > 0 || more == 0) return count;
  }
}

/// Replaces the words; returns how many bytes come before what is held for the next call.
std::size_t NumberWords::replace(std::span<char> bytes, bool at_end) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
      continue;
    }
    const std::string_view word = word_at(c, before_);
    const std::string_view rest(bytes.data() + i, bytes.size() - i);
    if (!word.empty() && !at_end && rest.size() <= word.size() && word.starts_with(rest)) {
      held_ = rest;
      return i;
    }
    before_ = c;
    in_string_ = c == '"';
    const bool whole = !word.empty() && rest.starts_with(word) &&
                       (rest.size() == word.size() || ends_word(rest[word.size()]));
    if (!whole) continue;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(i), word.size(), '1');
    before_ = '1';
    i += word.size() - 1;
  }
  return bytes.size();
}

}  // namespace sgpt_mi::documents
