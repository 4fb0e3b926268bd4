#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::pretokenizer {

/// Byte range [begin, end) of a text.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// A compiled PCRE2 pattern with Unicode properties, JIT-compiled where the machine allows.
/// Thread-safe. Texts must be valid UTF-8 (check_utf8): they are not checked again.
class Regex {
 public:
  /// Compiles PCRE2 syntax. Throws Error(kInput) with the pattern and PCRE2's reason.
  explicit Regex(const std::string& pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// A pattern that matches exactly this text.
  [[nodiscard]] static Regex literal(std::string_view text);

  /// All matches from left to right; none overlap. An empty one directly behind another is left
  /// out, as in the `onig` crate's find_iter.
  [[nodiscard]] std::vector<Span> matches(std::string_view text) const;

  /// Whether a match begins at the first byte.
  [[nodiscard]] bool matches_start(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<const Code> code_;
};

/// Whether PCRE2 knows a script of this name.
[[nodiscard]] bool is_script(std::string_view name);

/// Translates a pattern of tokenizer.json (Oniguruma's own syntax, Unicode) to PCRE2 with the same
/// meaning: \s, \w, \b and the POSIX names become the Unicode properties that Oniguruma uses,
/// scripts are scripts without their extensions, ^ and $ are those of lines, classes may hold
/// classes and &&, {n}+ repeats the interval. Throws Error(kInput) naming a construct that is not
/// known to mean the same (octal numbers, \k, \G, \K, named groups, options within a pattern).
[[nodiscard]] std::string pcre_from_oniguruma(std::string_view pattern);

}  // namespace sgpt_mi::pretokenizer
