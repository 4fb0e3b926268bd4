#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "regex_class.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/regex.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::pretokenizer {
namespace {

constexpr std::string_view kSameGroups[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Rewrites a pattern from left to right.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_{pattern} {}

  std::string run() {
    while (in_.at < in_.pattern.size()) {
      const char c = in_.pattern[in_.at];
      if (c == '\\') {
        escape();
      } else if (c == '[') {
        const std::string members = read_onig_class(in_);
        atom(members);
      } else {
        plain_character(c);
      }
    }
    return std::move(out_);
  }

 private:
  /// Appends something that a quantifier may follow.
  void atom(std::string_view text) {
    atom_ = out_.size();
    out_ += text;
  }

  void replace(std::size_t count, std::string_view with) {
    atom(with);
    in_.at += count;
  }

  void escape() {
    const char c = in_.at + 1 < in_.pattern.size() ? in_.pattern[in_.at + 1] : '\0';
    if (c == 'b' || c == 'B') return replace(2, word_border(c == 'b'));
    if (c == 'A' || c == 'z' || c == 'Z') return replace(2, in_.pattern.substr(in_.at, 2));
    if (is_digit(c)) return back_reference();
    const OnigEscape kind = read_onig_escape(in_, kOnigWordAlone);
    atom(kind.several ? fmt::format("[{}{}]", kind.complement ? "^" : "", kind.members)
                      : kind.members);
  }

  static std::string word_border(bool border) {
    const std::string word = fmt::format("[{}]", kOnigWordAlone);
    return border ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word)
                  : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word);
  }

  /// \1 to \9: more digits may be an octal number instead.
  void back_reference() {
    const bool single = in_.pattern[in_.at + 1] != '0' &&
                        (in_.at + 2 >= in_.pattern.size() || !is_digit(in_.pattern[in_.at + 2]));
    if (!single) in_.refuse("a number behind a backslash");
    replace(2, in_.pattern.substr(in_.at, 2));
  }

  void plain_character(char c) {
    switch (c) {
      case '^':
        return replace(1, "(?m:^)");  // of every line
      case '$':
        return replace(1, "(?m:$)");
      case '(':
        return group();
      case ')':
        return close_group();
      case '{':
        return interval();
      case '|':
      case '*':
      case '+':
      case '?':  // followed by + it is possessive in both dialects
        out_ += c;
        break;
      default:
        return replace(character_size(c), in_.pattern.substr(in_.at, character_size(c)));
    }
    ++in_.at;
  }

  void group() {
    if (in_.next_is('*', 1)) in_.refuse("a verb");
    const std::string_view rest = in_.pattern.substr(in_.at);
    if (in_.at == 0 && rest.starts_with("(?i)")) return replace(4, "(?i)");
    std::size_t size = 1;
    if (in_.next_is('?', 1)) {
      size = 0;
      for (const std::string_view known : kSameGroups) {
        if (rest.starts_with(known)) size = known.size();
      }
      if (size == 0) in_.refuse("an unknown group");
    }
    groups_.push_back(out_.size());
    out_ += rest.substr(0, size);
    in_.at += size;
  }

  void close_group() {
    if (groups_.empty()) in_.refuse("a ) without its (");
    atom_ = groups_.back();
    groups_.pop_back();
    out_ += ')';
    ++in_.at;
  }

  /// {n}, {n,}, {n,m} or {,m}; anything else is the brace itself. Behind one, + repeats the whole
  /// again (it is possessive in PCRE2), and so does ? behind {n}.
  void interval() {
    std::size_t end = in_.at + 1;
    while (end < in_.pattern.size() && is_digit(in_.pattern[end])) ++end;
    const std::string low(in_.pattern.substr(in_.at + 1, end - in_.at - 1));
    const bool range = end < in_.pattern.size() && in_.pattern[end] == ',';
    std::string high;
    if (range) {
      ++end;
      while (end < in_.pattern.size() && is_digit(in_.pattern[end])) high += in_.pattern[end++];
    }
    const bool closed = end < in_.pattern.size() && in_.pattern[end] == '}';
    if (!closed || (low.empty() && high.empty())) return replace(1, "\\{");
    in_.at = end + 1;
    out_ += fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, range ? "," : "", high);
    if (in_.next_is('+') || (in_.next_is('?') && !range)) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
  }

  PatternCursor in_;
  std::string out_;
  std::size_t atom_ = 0;             ///< where in out_ the last atom begins
  std::vector<std::size_t> groups_;  ///< where in out_ the open groups begin
};

}  // namespace

std::string pcre_from_oniguruma(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace sgpt_mi::pretokenizer
