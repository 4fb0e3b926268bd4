#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/temporary_folder.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/space_cuts.h"
#include "tokenizer/tokenizer_files.h"
#include "toy_vocabulary.h"

namespace sgpt_mi::tokenizer {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the ids of the toy vocabulary
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<Tokenizer> toy(const json& config = json::object()) {
  return tokenizer_from_sentencepiece(gguf_sentencepiece_model(toy_llama_vocabulary()),
                                      SpecialTokenFiles(config));
}

TEST(SentencePiece, PutsBosInFrontAndASpaceBeforeTheText) {
  const auto tokenizer = toy();
  EXPECT_THAT(tokenizer->encode("a"), ElementsAre(1, kToySpaceA));
  EXPECT_THAT(tokenizer->encode("a", false), ElementsAre(kToySpaceA));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre(1));
  EXPECT_THAT(tokenizer->encode(" a", false), ElementsAre(kToySpace, kToySpaceA));
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->vocab_size(), 266);
}

TEST(SentencePiece, BestScoreMergesFirst) {
  // ▁a before bb, then ▁abb.
  EXPECT_THAT(toy()->encode("abb", false), ElementsAre(kToySpaceAbb));
  EXPECT_THAT(toy()->encode("babb", false), ElementsAre(kToySpace, kToyB, kToyA, kToyBb));
}

TEST(SentencePiece, UnknownCharactersBecomeBytes) {
  EXPECT_THAT(toy()->encode("aé", false),
              ElementsAre(kToySpaceA, kToyByte0 + 0xC3, kToyByte0 + 0xA9));
}

TEST(SentencePiece, EveryStretchBetweenSpecialTokensGetsItsPrefix) {
  EXPECT_THAT(toy()->encode("a</s>a<unk><s>", false), ElementsAre(kToySpaceA, 2, kToySpaceA, 0, 1));
}

// The rule of transformers' LlamaTokenizer (4.31 and later, and 5.24) with "legacy": false.
TEST(SentencePiece, WithoutLegacyOnlyTheStartOfTheTextGetsAPrefix) {
  const auto tokenizer = toy({{"legacy", false}});
  EXPECT_THAT(tokenizer->encode("a</s>a a</s> a", false),
              ElementsAre(kToySpaceA, 2, kToyA, kToySpaceA, 2, kToySpaceA));
  EXPECT_THAT(tokenizer->encode("<s>a", false), ElementsAre(1, kToyA));
  EXPECT_THAT(toy({{"legacy", true}})->encode("a</s>a", false),
              ElementsAre(kToySpaceA, 2, kToySpaceA));
  EXPECT_THAT(toy({{"add_prefix_space", false}})->encode("a a</s>a", false),
              ElementsAre(kToyA, kToySpaceA, 2, kToyA));
}

TEST(SentencePiece, NewTokensAreNumberedBehindThePieces) {
  const auto tokenizer = toy({{"pad_token", "[PAD]"}, {"additional_special_tokens", {"<x>"}}});
  EXPECT_THAT(tokenizer->encode("a[PAD]<x>", false), ElementsAre(kToySpaceA, 266, 267));
  EXPECT_EQ(tokenizer->vocab_size(), 268);
}

TEST(SentencePiece, ARoleThatIsNullIsNotPutInFront) {
  EXPECT_EQ(toy({{"bos_token", nullptr}})->bos_id(), std::nullopt);
}

TEST(SentencePiece, SpecialTokensMayBeText) {
  const auto tokenizer = toy({{"split_special_tokens", true}});
  EXPECT_THAT(tokenizer->encode("<s>", false).size(), 4U);
}

TEST(SentencePiece, TheConfigurationDecidesBosEosAndAddedTokens) {
  const json config = json::parse(R"({"add_bos_token": false, "add_eos_token": true,
    "added_tokens_decoder": {"266": {"content": "<pad>"}}})");
  const auto tokenizer = toy(config);
  EXPECT_THAT(tokenizer->encode("a<pad>"), ElementsAre(kToySpaceA, 266, 2));
  EXPECT_EQ(tokenizer->bos_id(), std::nullopt);
  EXPECT_EQ(tokenizer->vocab_size(), 267);
}

TEST(SentencePiece, BadFilesAndTokensAreNamed) {
  const auto load = [](const std::string& model, const json& config) {
    return input_error(
        [&] { return tokenizer_from_sentencepiece(model, SpecialTokenFiles(config)); });
  };
  EXPECT_THAT(load("no model", {}), HasSubstr("not a sentencepiece model"));
  const std::string model = gguf_sentencepiece_model(toy_llama_vocabulary());
  EXPECT_THAT(load(model.substr(0, model.size() / 2), {}), HasSubstr("sentencepiece model"));
  EXPECT_THAT(load(model, {{"added_tokens_decoder", {{"300", {{"id", 1}}}}}}),
              HasSubstr("'content'"));
  EXPECT_THAT(load(model, json::parse(R"({"added_tokens_decoder": {"x": {"content": "y"}}})")),
              HasSubstr("'x'"));
}

TEST(SpaceCutsTest, CutsWherePiecesEnd) {
  const SpaceCuts cuts(gguf_sentencepiece_model(toy_llama_vocabulary()));
  // ▁▁ is a piece, so a space after a space is no place to cut.
  EXPECT_THAT(cuts.parts("a bb  a"), ElementsAre("a", "bb", " a"));
  EXPECT_THAT(cuts.parts(" a "), ElementsAre(" a "));
  EXPECT_THAT(cuts.parts("a"), ElementsAre("a"));
  EXPECT_THAT(cuts.parts("▁ a"), ElementsAre("▁ a"));
}

TEST(SpaceCutsTest, NoneWithoutADummyPrefix) {
  GgufVocabulary vocabulary = toy_llama_vocabulary();
  vocabulary.add_space_prefix = false;
  EXPECT_THAT(SpaceCuts(gguf_sentencepiece_model(vocabulary)).parts("a b"), ElementsAre("a b"));
}

TEST(SpaceCutsTest, NoneAfterALetterThatAPieceJoinsToASpace) {
  GgufVocabulary vocabulary = toy_llama_vocabulary();
  vocabulary.tokens.push_back("b▁a");
  vocabulary.scores.push_back(1);
  vocabulary.types.push_back(1);
  EXPECT_THAT(SpaceCuts(gguf_sentencepiece_model(vocabulary)).parts("b a b"),
              ElementsAre("b a", "b"));
}

// Cut texts against whole ones: without its dummy prefix a model is never cut, and a space in front
// of the text stands in for the prefix.
TEST(SpaceCutsTest, CutsChangeNoId) {
  GgufVocabulary vocabulary = toy_llama_vocabulary();
  const auto cut = load_tokenizer(vocabulary);
  vocabulary.add_space_prefix = false;
  const auto whole = load_tokenizer(vocabulary);
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::string text = "a";
    for (int i = 0; i < 40; ++i) text += "ab  é"[random() % 4];
    ASSERT_EQ(cut->encode(text), whole->encode(" " + text)) << text;
  }
}

}  // namespace
}  // namespace sgpt_mi::tokenizer
