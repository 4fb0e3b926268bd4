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

// As tokenizers 0.23.3 splits "aab" with Split("a*") and "12345" with
// Split("(?=(\\d{3})+(?!\\d))").
TEST(Regexes, EmptyMatchesComeOnce) {
  const auto spans = [](const char* pattern, const char* text) {
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (const Span span : Regex(pattern).matches(text)) found.emplace_back(span.begin, span.end);
    return found;
  };
  EXPECT_THAT(spans("a*", "aab"), ElementsAre(std::pair(0, 2), std::pair(3, 3)));
  EXPECT_THAT(spans("(?=(\\d{3})+(?!\\d))", "12345"), ElementsAre(std::pair(2, 2)));
  EXPECT_THAT(spans("(?=é)", "éé"), ElementsAre(std::pair(0, 0), std::pair(2, 2)));
}

TEST(Regexes, RefuseBadPatterns) {
  EXPECT_THAT(input_error([] { Regex("(a"); }), HasSubstr("'(a'"));
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
              ElementsAre("e\u0301", "_a", "1²ⓤ"));
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("[\\w]+")), "1²ⓤ"), ElementsAre("1", "ⓤ"));
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("[\\w-]+")), "a-b c"), ElementsAre("a-b", "c"));
}

TEST(Oniguruma, PatternsOfModelsPassUnchangedButForSpaces) {
  EXPECT_EQ(pcre_from_oniguruma("(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}"),
            "(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}");
}

/// What a pattern of the other dialect matches.
struct Found {
  const char* pattern;
  const char* text;
  std::vector<std::string> matches;
};

// Expected matches are those of tokenizers 0.23.3, pre_tokenizers.Split.
TEST(Oniguruma, AnchorsAndBordersAreThoseOfLinesAndWords) {
  const Found cases[] = {{"\\s+$", "a  \nb \n\n", {"  ", " \n\n"}},
                         {"^a", "aa\na\n", {"a", "a"}},
                         {"\\A +| +\\z", "  a b  ", {"  ", "  "}},
                         {"a\\b", "ab a a½ a.", {"a", "a"}},
                         {"\\Ba", "aa ba", {"a", "a"}},
                         {"\\d{1,3}(?=(?:\\d{3})*\\b)", "12345", {"12", "345"}}};
  for (const Found& found : cases) {
    EXPECT_EQ(matched(Regex(pcre_from_oniguruma(found.pattern)), found.text), found.matches)
        << found.pattern;
  }
}

TEST(Oniguruma, ReferencesAndRepeatedIntervals) {
  const Found cases[] = {{"([!=.])\\1*", "a==.!!!", {"==", ".", "!!!"}},
                         {"a{2}+", "aaaaa", {"aaaa"}},
                         {"(ab){2}+", "ababab", {"abab"}},
                         {"é{2}?b", "ééb b", {"ééb", "b"}},
                         {"a{,2}b", "aaab", {"aab"}},
                         {"a{b", "a{b", {"a{b"}},
                         {"\\h+", "xAf09g", {"Af09"}},
                         {"\\x41\\u00e9|\\x{1F44D}", "Aé👍", {"Aé", "👍"}}};
  for (const Found& found : cases) {
    EXPECT_EQ(matched(Regex(pcre_from_oniguruma(found.pattern)), found.text), found.matches)
        << found.pattern;
  }
}

TEST(Oniguruma, ClassesMayHoldClasses) {
  const Found cases[] = {{"[[a-c][X-Z]]+", "abXd", {"abX"}},
                         {"[^[a-c][X-Z]]+", "abXd\n", {"d\n"}},
                         {"[a-z&&[^bc]]+", "abcde", {"a", "de"}},
                         {"[^a-z&&[^bc]]+", "abcd1", {"bc", "1"}},
                         {"[\\W]+", "a. b", {". "}},
                         {"[[:^alpha:]]+", "a1b", {"1"}},
                         {"[[:punct:]]+", "a$.∑", {"$.∑"}},
                         {"\\p{Punct}+", "a$.∑", {"."}},
                         {"\\p{^Alnum}+", "a1 .", {" ."}}};
  for (const Found& found : cases) {
    EXPECT_EQ(matched(Regex(pcre_from_oniguruma(found.pattern)), found.text), found.matches)
        << found.pattern;
  }
}

// U+30FC is of the script Common; only its script extensions hold Katakana.
TEST(Oniguruma, ScriptsAreWithoutTheirExtensions) {
  EXPECT_THAT(matched(Regex(pcre_from_oniguruma("\\p{Katakana}+")), "カーカ"),
              ElementsAre("カ", "カ"));
}

TEST(Oniguruma, RefusesWhatDiffersBetweenTheDialects) {
  const std::pair<const char*, const char*> refused[] = {
      {"(?m)a", "group"},        {"(?<n>a)", "group"},    {"(*UTF)", "verb"},
      {"[a", "unclosed"},        {"a\\", "backslash"},    {"\\pL", "property"},
      {"[]a]", "begins with ]"}, {"[a&&]", "&&"},         {"\\Ga", "\\G"},
      {"(a)\\12", "number"},     {"\\xE9", "code"},       {"\\u12", "code"},
      {"[[:foo:]]", "bracket"},  {"a)", "without its ("}, {"a(?i)b", "group"},
      {"\\K\r", "\\K\\x0D'"}};
  for (const auto& [pattern, reason] : refused) {
    EXPECT_THAT(input_error([&] { return pcre_from_oniguruma(pattern); }), HasSubstr(reason))
        << pattern;
  }
}

}  // namespace
}  // namespace sgpt_mi::pretokenizer
