#include "sgpt_mi/special_tokens/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sgpt_mi::special_tokens {
namespace {

using ::testing::ElementsAre;

/// Segments as text, tokens as <id:text>.
std::vector<std::string> split(std::vector<AddedToken> tokens, std::string_view text) {
  std::vector<std::string> found;
  for (const Segment& segment : AddedTokenMatcher(std::move(tokens)).split(text)) {
    const std::string content(segment.text);
    found.push_back(segment.token == kNoToken
                        ? content
                        : "<" + std::to_string(segment.token) + ":" + content + ">");
  }
  return found;
}

TEST(AddedTokens, CutTheText) {
  EXPECT_THAT(split({{.content = "<s>", .id = 1}}, "a<s><s>b"),
              ElementsAre("a", "<1:<s>>", "<1:<s>>", "b"));
  EXPECT_THAT(split({{.content = "<s>", .id = 1}}, "<s"), ElementsAre("<s"));
  EXPECT_THAT(split({}, "abc"), ElementsAre("abc"));
  EXPECT_THAT(split({{.content = "<s>", .id = 1}}, ""), ElementsAre());
}

TEST(AddedTokens, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {
      {.content = "ab", .id = 1}, {.content = "abcd", .id = 2}, {.content = "bcde", .id = 3}};
  EXPECT_THAT(split(tokens, "abcde"), ElementsAre("<2:abcd>", "e"));
  EXPECT_THAT(split(tokens, "abce"), ElementsAre("<1:ab>", "ce"));
}

TEST(AddedTokens, StripTakesWhiteSpaceAlong) {
  EXPECT_THAT(split({{.content = "<m>", .id = 1, .lstrip = true}}, "a \u3000<m> b"),
              ElementsAre("a", "<1: \u3000<m>>", " b"));
  EXPECT_THAT(split({{.content = "<m>", .id = 1, .rstrip = true}}, "a <m> \n b"),
              ElementsAre("a ", "<1:<m> \n >", "b"));
}

// The white space between two tokens belongs to the first that takes it.
TEST(AddedTokens, StripDoesNotReachIntoATokenBefore) {
  const std::vector<AddedToken> tokens = {{.content = "<a>", .id = 1, .rstrip = true},
                                          {.content = "<b>", .id = 2, .lstrip = true}};
  EXPECT_THAT(split(tokens, "<a> <b>"), ElementsAre("<1:<a> >", "<2:<b>>"));
}

TEST(AddedTokens, SingleWordsStandAlone) {
  const std::vector<AddedToken> tokens = {{.content = "cat", .id = 1, .single_word = true}};
  EXPECT_THAT(split(tokens, "cat, concat cats"), ElementsAre("<1:cat>", ", concat cats"));
  EXPECT_THAT(split(tokens, "écat catb\u0301"), ElementsAre("écat catb\u0301"));
}

}  // namespace
}  // namespace sgpt_mi::special_tokens
