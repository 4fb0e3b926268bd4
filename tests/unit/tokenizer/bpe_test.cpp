#include "tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "support/temporary_folder.h"

namespace sgpt_mi::tokenizer {
namespace {

using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::int32_t> encode(const BpeDefinition& definition, std::string_view text) {
  const BpeModel model(definition);
  std::vector<std::int32_t> ids;
  BpeEncoder(model, text.size(), ids).encode(text);
  return ids;
}

/// a, b, c and the merges of the example below.
BpeDefinition letters() {
  return {.vocabulary = {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}, {"abc", 5}, {"aa", 6}},
          .merges = {{"b", "c"}, {"a", "b"}, {"ab", "c"}, {"a", "a"}}};
}

TEST(Bpe, BestMergeFirst) {
  // "bc" ranks before "ab", and no merge joins a and bc.
  EXPECT_THAT(encode(letters(), "abc"), ElementsAre(0, 4));
  EXPECT_THAT(encode(letters(), "ab"), ElementsAre(3));
  EXPECT_THAT(encode(letters(), ""), ElementsAre());
}

TEST(Bpe, LeftmostAmongEquals) {
  EXPECT_THAT(encode(letters(), "aaa"), ElementsAre(6, 0));
  EXPECT_THAT(encode(letters(), "aaaa"), ElementsAre(6, 6));
}

TEST(Bpe, UnknownCharactersVanishWithoutAnUnknownToken) {
  EXPECT_THAT(encode(letters(), "a?b"), ElementsAre(3));
}

TEST(Bpe, UnknownTokens) {
  BpeDefinition definition = letters();
  definition.vocabulary["<unk>"] = 7;
  definition.unknown_token = "<unk>";
  EXPECT_THAT(encode(definition, "a??b"), ElementsAre(0, 7, 7, 1));
  definition.fuse_unknown = true;
  EXPECT_THAT(encode(definition, "a??b?"), ElementsAre(0, 7, 1, 7));
}

TEST(Bpe, ByteFallback) {
  BpeDefinition definition = letters();
  definition.vocabulary["<0xC3>"] = 8;
  definition.vocabulary["<0xA9>"] = 9;
  definition.vocabulary["<unk>"] = 7;
  definition.unknown_token = "<unk>";
  definition.byte_fallback = true;
  EXPECT_THAT(encode(definition, "aéb"), ElementsAre(0, 8, 9, 1));
  // Not all bytes of this one are there.
  EXPECT_THAT(encode(definition, "aèb"), ElementsAre(0, 7, 1));
}

TEST(Bpe, IgnoreMergesTakesWholePieces) {
  BpeDefinition definition = letters();
  definition.ignore_merges = true;
  EXPECT_THAT(encode(definition, "abc"), ElementsAre(5));
  EXPECT_THAT(encode(definition, "abcc"), ElementsAre(0, 4, 2));
}

TEST(Bpe, ByteLevelTokensStandForBytes) {
  // In GPT-2's alphabet Ġ is a space, Ã and © are the bytes of é.
  const BpeDefinition definition = {
      .vocabulary = {{"Ġ", 0}, {"Ã", 1}, {"©", 2}, {"Ã©", 3}, {"ĠÃ©", 4}, {"中", 5}},
      .merges = {{"Ã", "©"}, {"Ġ", "Ã©"}},
      .byte_level = true};
  EXPECT_THAT(encode(definition, " éé"), ElementsAre(4, 3));
  EXPECT_EQ(BpeModel(definition).id_count(), 6);
}

TEST(Bpe, RemembersWords) {
  const BpeModel model(letters());
  std::vector<std::int32_t> ids = {9};
  BpeEncoder encoder(model, 100, ids);
  for (const char* word : {"abc", "aa", "abc", "abc"}) encoder.encode(word);
  EXPECT_THAT(ids, ElementsAre(9, 0, 4, 6, 0, 4, 0, 4));
}

TEST(Bpe, RefusesDamagedDefinitions) {
  EXPECT_THAT(input_error([] { BpeModel({}); }), HasSubstr("empty"));
  BpeDefinition part = letters();
  part.merges.emplace_back("a", "x");
  EXPECT_THAT(input_error([&] { BpeModel{part}; }), HasSubstr("'x'"));
  BpeDefinition product = letters();
  product.merges.emplace_back("c", "c");
  EXPECT_THAT(input_error([&] { BpeModel{product}; }), HasSubstr("'cc'"));
  BpeDefinition unknown = letters();
  unknown.unknown_token = "<unk>";
  EXPECT_THAT(input_error([&] { BpeModel{unknown}; }), HasSubstr("'<unk>'"));
  BpeDefinition hollow = letters();
  hollow.merges.emplace_back("", "a");
  EXPECT_THAT(input_error([&] { BpeModel{hollow}; }), HasSubstr("empty part"));
}

/// The definition of byte-pair encoding, word for word: O(n^2), no cuts, no cache.
std::vector<std::int32_t> encode_plainly(const BpeDefinition& definition, const std::string& text) {
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  const auto rank_of = [&](std::size_t i) {
    const std::pair pair(symbols[i], symbols[i + 1]);
    const auto found = std::find(definition.merges.begin(), definition.merges.end(), pair);
    return found - definition.merges.begin();
  };
  while (true) {
    auto best = static_cast<std::ptrdiff_t>(definition.merges.size());
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (rank_of(i) < best) {
        best = rank_of(i);
        place = i;
      }
    }
    if (best == static_cast<std::ptrdiff_t>(definition.merges.size())) break;
    symbols[place] += symbols[place + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
  std::vector<std::int32_t> ids;
  for (const std::string& symbol : symbols) ids.push_back(definition.vocabulary.at(symbol));
  return ids;
}

/// A vocabulary grown by joining random tokens.
BpeDefinition random_definition(std::mt19937& random) {
  BpeDefinition definition;
  std::vector<std::string> tokens;
  for (const char c : std::string("abcdef")) tokens.emplace_back(1, c);
  while (tokens.size() < 30) {
    const auto pick = [&] { return tokens[random() % tokens.size()]; };
    const std::pair merge(pick(), pick());
    const std::string product = merge.first + merge.second;
    if (std::find(tokens.begin(), tokens.end(), product) != tokens.end()) continue;
    definition.merges.push_back(merge);
    tokens.push_back(product);
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    definition.vocabulary[tokens[i]] = static_cast<std::int32_t>(i);
  }
  return definition;
}

// Both kinds, because only character vocabularies cut their pieces.
TEST(Bpe, EqualsThePlainDefinition) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    BpeDefinition definition = random_definition(random);
    definition.byte_level = trial % 2 == 0;
    std::string text;
    for (std::size_t i = 0; i < 60; ++i) text += static_cast<char>('a' + random() % 6);
    ASSERT_EQ(encode(definition, text), encode_plainly(definition, text)) << "trial " << trial;
  }
}

// 2 MB in one piece: a second at most when the cost is O(n log n), hours when it is O(n^2).
TEST(Bpe, LongPieces) {
  BpeDefinition definition = letters();
  definition.byte_level = true;
  const std::size_t size = 2'000'000;
  EXPECT_EQ(encode(definition, std::string(size, 'a')).size(), size / 2);
}

}  // namespace
}  // namespace sgpt_mi::tokenizer
