#include "sgpt_mi/pretokenizer/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::pretokenizer {
namespace {

using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> matched(const Regex& regex, std::string_view text) {
  std::vector<std::string> found;
  for (const Span span : regex.matches(text)) {
    found.emplace_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}

TEST(Regexes, FindNonOverlappingMatches) {
  EXPECT_THAT(matched(Regex("\\p{L}+"), "añb 12 Жз!"), ElementsAre("añb", "Жз"));
  EXPECT_THAT(matched(Regex("aa"), "aaaaa"), ElementsAre("aa", "aa"));
  EXPECT_THAT(matched(Regex("a"), ""), ElementsAre());
}

TEST(Regexes, LiteralsMatchThemselves) {
  for (const std::string& text :
       std::vector<std::string>{"a.b", "▁", "[x]\\d", "(", "|", "^$", std::string("a\0b", 3)}) {
    EXPECT_THAT(matched(Regex::literal(text), "_" + text + "_"), ElementsAre(text));
  }
}

TEST(Regexes, MatchesStart) {
  EXPECT_TRUE(Regex("b").matches_start("bc"));
  EXPECT_FALSE(Regex("b").matches_start("ab"));
}

// Backtracking over a long run needs more than the machine stack that PCRE2 starts with.
TEST(Regexes, LongRunsOfWhiteSpace) {
  const std::string text = std::string(2'000'000, ' ') + "x";
  const Regex regex("\\s+(?!\\S)|\\s+");
  const std::vector<Span> spans = regex.matches(text);
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].end, text.size() - 2);
}

TEST(Regexes, RefuseBadPatterns) {
  EXPECT_THAT(input_error([] { Regex("(a"); }), HasSubstr("'(a'"));
  EXPECT_THAT(input_error([] { Regex("a*"); }), HasSubstr("empty string"));
}

TEST(Oniguruma, WhiteSpaceIsTheUnicodeProperty) {
  const Regex space(pcre_from_oniguruma("\\s+"));
  EXPECT_THAT(matched(space, "a\u0085b\u2028c\u3000d"), ElementsAre("\u0085", "\u2028", "\u3000"));
  // U+180E is a space to PCRE2's \s, not to Unicode since 6.3.
  EXPECT_THAT(matched(space, "a\u180Eb"), ElementsAre());
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("[^\\s\\p{L}]+")), "a\u180E b"),
              ElementsAre("\u180E"));
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("\\S+")), "ab cd"), ElementsAre("ab", "cd"));
}

TEST(Oniguruma, WordCharactersAreThoseOfUnicode) {
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("\\w+")), "e\u0301 _a-1²ⓤ"),
              ElementsAre("e\u0301", "_a", "1", "ⓤ"));
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("[\\w-]+")), "a-b c"), ElementsAre("a-b", "c"));
}

TEST(Oniguruma, PatternsOfModelsPassUnchangedButForSpaces) {
  EXPECT_EQ(pcre_from_oniguruma("(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}"),
            "(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}");
}

TEST(Oniguruma, RefusesWhatDiffersBetweenTheDialects) {
  const std::pair<const char*, const char*> refused[] = {
      {"[a[b]]", "nested"},    {"[a&&b]", "intersection"},
      {"^a", "anchor"},        {"a$", "anchor"},
      {"a\\b", "\\b"},         {"\\h", "\\h"},
      {"a{1,2}+", "interval"}, {"(?m)a", "group"},
      {"(?<n>a)", "group"},    {"(*UTF)", "verb"},
      {"[a", "unclosed"},      {"a\\", "backslash"},
      {"\\pL", "property"},    {"[]a]", "begins with ]"}};
  for (const auto& [pattern, reason] : refused) {
    EXPECT_THAT(input_error([&] { return pcre_from_oniguruma(pattern); }), HasSubstr(reason))
        << pattern;
  }
}

}  // namespace
}  // namespace sgpt_mi::pretokenizer
