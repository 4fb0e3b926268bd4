#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sgpt_mi::pretokenizer {

/// Oniguruma's \w, as members of a PCRE2 class. Outside of classes it takes ², ³, ¹, ¼, ½ and ¾ for
/// word characters, too (6.9, unicode.c, EncUNICODE_ISO_8859_1_CtypeTable).
constexpr std::string_view kOnigWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kOnigWordAlone =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

/// Where a pattern is read; the errors say so.
struct PatternCursor {
  std::string_view pattern;
  std::size_t at = 0;

  [[nodiscard]] bool next_is(char c, std::size_t ahead = 0) const {
    return at + ahead < pattern.size() && pattern[at + ahead] == c;
  }
  /// Throws Error(kInput): this pattern has `what` here, which is not supported.
  [[noreturn]] void refuse(std::string_view what) const;
};

/// One character or kind of characters, written by an escape.
struct OnigEscape {
  std::string members;      ///< of a PCRE2 class
  bool several = false;     ///< more than one member
  bool complement = false;  ///< what is not in the class; only for several members
};

/// Reads an escape for one character, which may stand in a class: \s, \w, \d, \h, \p{L}, \n, \x41,
/// \., ... and moves behind it. Throws Error(kInput) naming any other. \param word  what \w is
/// here.
[[nodiscard]] OnigEscape read_onig_escape(PatternCursor& cursor, std::string_view word);

/// Reads a class from its [ to behind its ] and gives a PCRE2 pattern for one of its characters.
///
/// PCRE2 knows neither classes in classes nor &&: a union becomes an alternative, an intersection a
/// lookahead, the complement of either a negative lookahead.
[[nodiscard]] std::string read_onig_class(PatternCursor& cursor);

}  // namespace sgpt_mi::pretokenizer
