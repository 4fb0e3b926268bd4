#include "sgpt_mi/pretokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::pretokenizer {
namespace {

using nlohmann::json;
using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> pieces_of(const json& description, std::string_view text,
                                   bool at_text_start = true) {
  const PreTokenizer pre_tokenizer = parse_pre_tokenizer(description);
  Pieces pieces(text, at_text_start);
  for (const auto& step : pre_tokenizer.steps) step->apply(pieces);
  std::vector<std::string> found;
  for (const Piece& piece : pieces.list()) found.emplace_back(piece.text);
  return found;
}

json split(const char* pattern, const char* behavior, bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{"String", pattern}}},
          {"behavior", behavior},
          {"invert", invert}};
}

TEST(PreTokenizers, NullLeavesOnePiece) {
  EXPECT_THAT(pieces_of(nullptr, "a b"), ElementsAre("a b"));
  EXPECT_FALSE(parse_pre_tokenizer(nullptr).byte_level);
}

// The example of the `tokenizers` documentation of SplitDelimiterBehavior.
TEST(PreTokenizers, SplitBehaviors) {
  const char* text = "the-final--countdown";
  EXPECT_THAT(pieces_of(split("-", "Removed"), text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(pieces_of(split("-", "Isolated"), text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(pieces_of(split("-", "MergedWithPrevious"), text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(pieces_of(split("-", "MergedWithNext"), text),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(pieces_of(split("-", "Contiguous"), text),
              ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(PreTokenizers, InvertedSplitKeepsTheMatches) {
  EXPECT_THAT(pieces_of(split("ab", "Removed", true), "xabyab"), ElementsAre("ab", "ab"));
}

TEST(PreTokenizers, Gpt2Pattern) {
  const json gpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_THAT(pieces_of(gpt2, "I'm 12  years—old\n\n x "),
              ElementsAre("I", "'m", " 12", " ", " years", "—", "old", "\n\n", " x", " "));
  EXPECT_TRUE(parse_pre_tokenizer(gpt2).byte_level);
}

TEST(PreTokenizers, PrefixSpaceOnlyWhereThereIsNone) {
  const json prefix = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", false}};
  EXPECT_THAT(pieces_of(prefix, "ab"), ElementsAre(" ab"));
  EXPECT_THAT(pieces_of(prefix, " ab"), ElementsAre(" ab"));
}

TEST(PreTokenizers, Digits) {
  EXPECT_THAT(pieces_of({{"type", "Digits"}, {"individual_digits", true}}, "a12½"),
              ElementsAre("a", "1", "2", "½"));
  EXPECT_THAT(pieces_of({{"type", "Digits"}, {"individual_digits", false}}, "a12b"),
              ElementsAre("a", "12", "b"));
}

TEST(PreTokenizers, MetaspaceSchemes) {
  const auto metaspace = [](const char* scheme) {
    return json{{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}};
  };
  EXPECT_THAT(pieces_of(metaspace("always"), "a  b"), ElementsAre("▁a", "▁", "▁b"));
  EXPECT_THAT(pieces_of(metaspace("always"), " a"), ElementsAre("▁a"));
  EXPECT_THAT(pieces_of(metaspace("never"), "a b"), ElementsAre("a", "▁b"));
  EXPECT_THAT(pieces_of(metaspace("first"), "a"), ElementsAre("▁a"));
  EXPECT_THAT(pieces_of(metaspace("first"), "a", false), ElementsAre("a"));
  EXPECT_THAT(input_error([&] { return parse_pre_tokenizer(metaspace("last")); }),
              HasSubstr("'last'"));
}

TEST(PreTokenizers, MetaspaceMayKeepTheTextWhole) {
  EXPECT_THAT(pieces_of({{"type", "Metaspace"}, {"replacement", "▁"}, {"split", false}}, "a b"),
              ElementsAre("▁a▁b"));
}

TEST(PreTokenizers, WordsAndPunctuation) {
  EXPECT_THAT(pieces_of({{"type", "Whitespace"}}, "Hi, you_1 !!"),
              ElementsAre("Hi", ",", "you_1", "!!"));
  EXPECT_THAT(pieces_of({{"type", "WhitespaceSplit"}}, " Hi,  you"), ElementsAre("Hi,", "you"));
  EXPECT_THAT(pieces_of({{"type", "Punctuation"}}, "a+b。c"),
              ElementsAre("a", "+", "b", "。", "c"));
}

TEST(PreTokenizers, SequenceSplitsFurther) {
  const json sequence = {{"type", "Sequence"},
                         {"pretokenizers",
                          {{{"type", "Digits"}, {"individual_digits", true}},
                           {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}};
  EXPECT_THAT(pieces_of(sequence, "ab 12"), ElementsAre("ab", " ", "1", "2"));
}

TEST(PreTokenizers, OthersAreRefusedByName) {
  EXPECT_THAT(input_error([] {
                return parse_pre_tokenizer({{"type", "UnicodeScripts"}});
              }),
              HasSubstr("'UnicodeScripts'"));
  EXPECT_THAT(input_error([] { return parse_pre_tokenizer(split("a", "Sideways")); }),
              HasSubstr("'Sideways'"));
  const json late = {{"type", "Sequence"},
                     {"pretokenizers", {{{"type", "ByteLevel"}}, {{"type", "ByteLevel"}}}}};
  EXPECT_THAT(input_error([&] { return parse_pre_tokenizer(late); }),
              HasSubstr("pretokenizers[1]: pre-tokenizer 'ByteLevel' after ByteLevel"));
}

// As tokenizers 0.23.3 splits: steps behind ByteLevel see its letters, of which U+00B2 is a number
// and stands for the second byte of an o with grave accent.
TEST(PreTokenizers, StepsBehindByteLevelSeeItsLetters) {
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const json digits = {
      {"type", "Sequence"},
      {"pretokenizers", {byte_level, {{"type", "Digits"}, {"individual_digits", true}}}}};
  EXPECT_THAT(pieces_of(digits, "\xC3\xB2\x61\x31\x32 b"),
              ElementsAre("\xC3", "\xB2", "a", "1", "2", " b"));
  json three = split("", "Isolated");
  three["pattern"] = {{"Regex", "[0-9][0-9][0-9]"}};
  const json falcon = {{"type", "Sequence"},
                       {"pretokenizers",
                        {{{"type", "Punctuation"}, {"behavior", "Contiguous"}},
                         byte_level,
                         {{"type", "Digits"}, {"individual_digits", false}},
                         three}}};
  EXPECT_THAT(pieces_of(falcon, "a!! 12345"), ElementsAre("a", "!!", " ", "123", "45"));
}

// As tokenizers 0.23.3 splits.
TEST(PreTokenizers, EmptyMatchesCut) {
  json before = split("", "Removed");
  before["pattern"] = {{"Regex", "(?=[A-Z])"}};
  EXPECT_THAT(pieces_of(before, "aBcD"), ElementsAre("a", "Bc", "D"));
  before["pattern"] = {{"Regex", "\\b"}};
  EXPECT_THAT(pieces_of(before, "ab, c"), ElementsAre("ab", ", ", "c"));
}

}  // namespace
}  // namespace sgpt_mi::pretokenizer
