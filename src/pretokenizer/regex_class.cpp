#include "regex_class.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/regex.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::pretokenizer {
namespace {

using NamedMembers = std::pair<std::string_view, std::string_view>;

/// POSIX names with Oniguruma's Unicode meaning, found by asking tokenizers 0.23.3 for every
/// character; as properties they may begin with a capital.
constexpr NamedMembers kPosix[] = {{"alnum", "\\p{Alphabetic}\\p{Nd}"},
                                   {"alpha", "\\p{Alphabetic}"},
                                   {"blank", "\\p{Zs}\\t"},
                                   {"cntrl", "\\p{Cc}"},
                                   {"digit", "\\p{Nd}"},
                                   {"lower", "\\p{Lowercase}"},
                                   {"punct", "\\p{P}\\p{S}"},
                                   {"space", "\\p{White_Space}"},
                                   {"upper", "\\p{Uppercase}"},
                                   {"xdigit", "0-9A-Fa-f"},
                                   {"word", kOnigWord},
                                   {"ascii", "\\x00-\\x7F"}};

/// General categories that PCRE2 knows by their letter alone.
constexpr NamedMembers kCategories[] = {{"letter", "L"},      {"mark", "M"},  {"number", "N"},
                                        {"punctuation", "P"}, {"punct", "P"}, {"symbol", "S"},
                                        {"separator", "Z"},   {"other", "C"}};

/// Escapes for one character that PCRE2 writes alike.
constexpr std::string_view kSameCharacters = "rntfae ";

std::string_view find_named(const NamedMembers* begin, const NamedMembers* end,
                            std::string_view name) {
  const auto* found = std::find_if(begin, end, [&](const auto& row) { return row.first == name; });
  return found == end ? std::string_view() : found->second;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// \p{name} or \P{name}, at its backslash.
OnigEscape read_property(PatternCursor& cursor, std::string_view word) {
  const std::size_t close = cursor.pattern.find('}', cursor.at);
  if (!cursor.next_is('{', 2) || close == std::string_view::npos) {
    cursor.refuse("a property without {name}");
  }
  bool negated = cursor.next_is('P', 1);
  std::string_view name = cursor.pattern.substr(cursor.at + 3, close - cursor.at - 3);
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  cursor.at = close + 1;
  const std::string key = lower(name);
  if (key == "word") return {std::string(word), true, negated};
  const std::string_view category = find_named(std::begin(kCategories), std::end(kCategories), key);
  const std::string_view posix = find_named(std::begin(kPosix), std::end(kPosix), key);
  if (category.empty() && !posix.empty()) return {std::string(posix), true, negated};
  if (!category.empty()) name = category;
  // PCRE2 takes a script's name for its script extensions, Oniguruma for the script alone.
  const char* kind = is_script(name) ? "sc:" : "";
  return {fmt::format("\\{}{{{}{}}}", negated ? 'P' : 'p', kind, name)};
}

/// \x41, \x{1F600}, é, at its backslash.
OnigEscape read_code_point(PatternCursor& cursor) {
  const bool braces = cursor.next_is('{', 2);
  const std::size_t first = cursor.at + (braces ? 3 : 2);
  const std::size_t wanted = braces ? 8 : (cursor.next_is('u', 1) ? 4 : 2);
  std::size_t end = first;
  const auto is_hex = [&](std::size_t i) {
    return i < cursor.pattern.size() &&
           std::isxdigit(static_cast<unsigned char>(cursor.pattern[i])) != 0;
  };
  while (end < first + wanted && is_hex(end)) ++end;
  const std::string digits(cursor.pattern.substr(first, end - first));
  const bool complete = braces ? end > first && end < cursor.pattern.size() &&
                                     cursor.pattern[end] == '}' && cursor.next_is('x', 1)
                               : digits.size() == wanted;
  // \x80 to \xFF are bytes of a character in Oniguruma.
  const bool is_byte = !braces && wanted == 2 && complete && digits[0] >= '8';
  if (!complete || is_byte) cursor.refuse("a code that is not one character's");
  cursor.at = end + (braces ? 1 : 0);
  return {fmt::format("\\x{{{}}}", digits)};
}

/// The parts of one side of an &&: plain members, and classes within the class.
struct Operand {
  std::string members;
  std::vector<std::string> classes;

  /// A pattern for one character.
  [[nodiscard]] std::string pattern() const {
    std::string all = members.empty() ? "" : fmt::format("[{}]", members);
    if (classes.empty()) return all;
    for (const std::string& inner : classes) all += (all.empty() ? "" : "|") + inner;
    return fmt::format("(?:{})", all);
  }
};

/// [:space:] or [:^space:], at its [; false when it is a class within the class.
bool read_posix(PatternCursor& cursor, Operand& operand) {
  const std::size_t end = cursor.pattern.find(":]", cursor.at + 2);
  if (!cursor.next_is(':', 1) || end == std::string_view::npos) return false;
  std::string_view name = cursor.pattern.substr(cursor.at + 2, end - cursor.at - 2);
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  const std::string_view members = find_named(std::begin(kPosix), std::end(kPosix), name);
  if (members.empty()) cursor.refuse("an unknown bracket expression");
  cursor.at = end + 2;
  if (negated) {
    operand.classes.push_back(fmt::format("[^{}]", members));
  } else {
    operand.members += members;
  }
  return true;
}

void read_member(PatternCursor& cursor, Operand& operand) {
  if (cursor.next_is('[')) {
    if (!read_posix(cursor, operand)) operand.classes.push_back(read_onig_class(cursor));
    return;
  }
  if (cursor.next_is('\\') && cursor.next_is('b', 1)) {  // a backspace
    operand.members += "\\x08";
    cursor.at += 2;
    return;
  }
  if (cursor.next_is('\\')) {
    const OnigEscape escape = read_onig_escape(cursor, kOnigWord);
    if (escape.complement) {
      operand.classes.push_back(fmt::format("[^{}]", escape.members));
    } else {
      operand.members += escape.members;
    }
    return;
  }
  operand.members += cursor.pattern[cursor.at++];
}

}  // namespace

void PatternCursor::refuse(std::string_view what) const {
  fail(ErrorKind::kInput,
       "text: regular expression '{}' has {} at offset {}, which is not supported; use a "
       "tokenizer.json without it",
       printable(pattern), what, at);
}

OnigEscape read_onig_escape(PatternCursor& cursor, std::string_view word) {
  if (cursor.at + 1 >= cursor.pattern.size()) cursor.refuse("a lone backslash");
  const char c = cursor.pattern[cursor.at + 1];
  if (c == 'p' || c == 'P') return read_property(cursor, word);
  if (c == 'x' || c == 'u') return read_code_point(cursor);
  OnigEscape escape;
  switch (c) {
    case 's':
      escape = {"\\p{White_Space}"};
      break;
    case 'S':
      escape = {"\\P{White_Space}"};
      break;
    case 'd':
      escape = {"\\p{Nd}"};
      break;
    case 'D':
      escape = {"\\P{Nd}"};
      break;
    case 'w':
      escape = {std::string(word), true};
      break;
    case 'W':
      escape = {std::string(word), true, true};
      break;
    case 'h':
      escape = {"0-9A-Fa-f", true};
      break;
    case 'H':
      escape = {"0-9A-Fa-f", true, true};
      break;
    case 'v':
      escape = {"\\x0B"};
      break;
    default: {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x80) {  // the character itself
        escape = {std::string(cursor.pattern.substr(cursor.at + 1, character_size(c)))};
        cursor.at += character_size(c) - 1;
        break;
      }
      if (std::ispunct(byte) == 0 && kSameCharacters.find(c) == std::string_view::npos) {
        cursor.refuse(std::string("the escape \\") + printable(std::string_view(&c, 1)));
      }
      escape = {std::string{'\\', c}};
    }
  }
  cursor.at += 2;
  return escape;
}

std::string read_onig_class(PatternCursor& cursor) {
  const PatternCursor start = cursor;
  const bool negated = cursor.next_is('^', 1);
  cursor.at += negated ? 2 : 1;
  // A bracket in first place is a literal in one dialect and an empty class in the other.
  if (cursor.next_is(']')) cursor.refuse("a class that begins with ]");
  std::vector<Operand> operands(1);
  while (!cursor.next_is(']')) {
    if (cursor.at >= cursor.pattern.size()) start.refuse("an unclosed character class");
    if (cursor.next_is('&') && cursor.next_is('&', 1)) {
      operands.emplace_back();
      cursor.at += 2;
    } else {
      read_member(cursor, operands.back());
    }
  }
  ++cursor.at;
  if (operands.size() == 1 && operands[0].classes.empty()) {
    return fmt::format("[{}{}]", negated ? "^" : "", operands[0].members);
  }
  std::string all;
  for (std::size_t i = operands.size(); i-- > 0;) {
    const std::string pattern = operands[i].pattern();
    if (pattern.empty()) start.refuse("an empty side of &&");
    all += i > 0 ? fmt::format("(?={})", pattern) : pattern;
  }
  return negated ? fmt::format("(?:(?!{})(?s:.))", all) : fmt::format("(?:{})", all);
}

}  // namespace sgpt_mi::pretokenizer
