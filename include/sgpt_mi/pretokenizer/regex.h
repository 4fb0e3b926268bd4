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
  /// Compiles PCRE2 syntax. Throws Error(kInput) with the pattern and PCRE2's reason, also for a
  /// pattern that can match the empty string: no tokenizer splits at nothing.
  explicit Regex(const std::string& pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// A pattern that matches exactly this text.
  [[nodiscard]] static Regex literal(std::string_view text);

  /// All matches from left to right; none overlap, none is empty.
  [[nodiscard]] std::vector<Span> matches(std::string_view text) const;

  /// Whether a match begins at the first byte.
  [[nodiscard]] bool matches_start(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<const Code> code_;
};

/// Translates a pattern of tokenizer.json (Oniguruma, Ruby syntax, Unicode) to PCRE2 with the same
/// meaning: \s, \S and \w become the Unicode properties that Oniguruma uses.
/// Throws Error(kInput) naming a construct whose meaning differs between the two (nested classes,
/// ^ and $, \b, \h, {n}+ and unknown escapes or groups).
[[nodiscard]] std::string pcre_from_oniguruma(std::string_view pattern);

}  // namespace sgpt_mi::pretokenizer
