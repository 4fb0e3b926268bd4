#include <cctype>
#include <string>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/regex.h"

namespace sgpt_mi::pretokenizer {
namespace {

/// Oniguruma's \w.
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kSameEscapes = "rntfdD";
constexpr std::string_view kSameGroups[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!"};

/// Rewrites a pattern from left to right.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        plain_character(c);
      }
    }
    if (in_class_) refuse("an unclosed character class");
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorKind::kInput,
         "text: regular expression '{}' has {} at offset {}, which is not supported", pattern_,
         what, at_);
  }

  [[nodiscard]] bool next_is(char c, std::size_t ahead) const {
    return at_ + ahead < pattern_.size() && pattern_[at_ + ahead] == c;
  }

  void copy(std::size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  void replace(std::size_t count, std::string_view with) {
    out_ += with;
    at_ += count;
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) refuse("a lone backslash");
    const char c = pattern_[at_ + 1];
    if (c == 's') return replace(2, "\\p{White_Space}");
    if (c == 'S') return replace(2, "\\P{White_Space}");
    if (c == 'w') {
      return replace(2, in_class_ ? kWord : fmt::format("[{}]", kWord));
    }
    if (c == 'p' || c == 'P') return property();
    const bool punctuation = std::ispunct(static_cast<unsigned char>(c)) != 0;
    if (!punctuation && kSameEscapes.find(c) == std::string_view::npos) {
      refuse(std::string("the escape \\") + c);
    }
    copy(2);
  }

  void property() {
    const std::size_t close = pattern_.find('}', at_);
    if (!next_is('{', 2) || close == std::string_view::npos) refuse("a property without {name}");
    copy(close + 1 - at_);
  }

  void class_character(char c) {
    if (c == '[') refuse("a nested character class");
    if (c == '&' && next_is('&', 1)) refuse("a class intersection");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void plain_character(char c) {
    if (c == '^' || c == '$') refuse("a line anchor");
    if (c == '}' && next_is('+', 1)) refuse("a quantified interval");
    if (c == '(') return group();
    if (c != '[') return copy(1);
    in_class_ = true;
    copy(next_is('^', 1) ? 2 : 1);
    // A bracket in first place is a literal in one dialect and an empty class in the other.
    if (next_is(']', 0)) refuse("a class that begins with ]");
  }

  void group() {
    if (next_is('*', 1)) refuse("a verb");
    if (!next_is('?', 1)) return copy(1);
    for (const std::string_view known : kSameGroups) {
      if (pattern_.substr(at_).starts_with(known)) return copy(known.size());
    }
    refuse("an unknown group");
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

std::string pcre_from_oniguruma(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace sgpt_mi::pretokenizer
