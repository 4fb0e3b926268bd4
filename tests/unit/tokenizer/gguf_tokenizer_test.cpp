#include "tokenizer/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "sgpt_mi/pretokenizer/pre_tokenizer.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "support/temporary_folder.h"
#include "tokenizer/gguf_pre.h"
#include "toy_vocabulary.h"

namespace sgpt_mi::tokenizer {
namespace {

using test::input_error;
using test::toy_gpt2_vocabulary;
using test::toy_llama_vocabulary;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The tokenizer of a folder with the files that tokenizer_files() gives.
std::unique_ptr<Tokenizer> through_files(const GgufVocabulary& vocabulary) {
  const test::TemporaryFolder folder;
  for (const auto& [name, bytes] : tokenizer_files(vocabulary)) {
    static_cast<void>(folder.file(name, bytes));
  }
  return load_tokenizer(folder.path());
}

TEST(GgufTokenizer, LlamaFilesGiveTheSameTokenizer) {
  const GgufVocabulary vocabulary = toy_llama_vocabulary();
  const auto direct = load_tokenizer(vocabulary);
  const auto files = through_files(vocabulary);
  for (const char* text : {"", "a abb", "  é<s>b</s> a"}) {
    EXPECT_EQ(direct->encode(text), files->encode(text)) << text;
  }
  EXPECT_EQ(direct->vocab_size(), files->vocab_size());
  EXPECT_EQ(direct->bos_id(), 1);
}

TEST(GgufTokenizer, LlamaWithoutBos) {
  GgufVocabulary vocabulary = toy_llama_vocabulary();
  vocabulary.add_bos = false;
  EXPECT_EQ(load_tokenizer(vocabulary)->bos_id(), std::nullopt);
}

TEST(GgufTokenizer, EqualScoresMergeInTheOrderOfTheIds) {
  GgufVocabulary vocabulary = toy_llama_vocabulary();
  const auto expected = load_tokenizer(vocabulary);
  for (const float score : {0.0F, -1000.0F}) {
    vocabulary.scores.assign(vocabulary.tokens.size(), score);
    EXPECT_EQ(load_tokenizer(vocabulary)->encode("abb babb  a"), expected->encode("abb babb  a"));
  }
  vocabulary.scores.clear();
  vocabulary.types.clear();
  EXPECT_EQ(load_tokenizer(vocabulary)->encode("abb é"), expected->encode("abb é"));
}

// Converters also write the unknown token as a control token.
TEST(GgufTokenizer, TheUnknownTokenMayBeAControlToken) {
  GgufVocabulary vocabulary = toy_llama_vocabulary();
  vocabulary.types[0] = 3;
  EXPECT_THAT(load_tokenizer(vocabulary)->encode("<unk>"), ElementsAre(1, 0));
}

TEST(GgufTokenizer, Gpt2FilesGiveTheSameTokenizer) {
  const GgufVocabulary vocabulary = toy_gpt2_vocabulary();
  const auto direct = load_tokenizer(vocabulary);
  const auto files = through_files(vocabulary);
  EXPECT_THAT(direct->encode("ab ab<tool>12bb"), ElementsAre(8, 6, 7, 9, 5, 10));
  EXPECT_EQ(files->encode("ab ab<tool>12bb"), direct->encode("ab ab<tool>12bb"));
  EXPECT_EQ(direct->bos_id(), 8);
}

// The tokenizers library refuses a file without them, and numbers other tokens anew.
TEST(GgufTokenizer, Gpt2FilesNameEveryTokenAndEveryMember) {
  const GgufVocabulary vocabulary = toy_gpt2_vocabulary();
  const nlohmann::json json = gguf_tokenizer_json(vocabulary);
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    EXPECT_EQ(json["model"]["vocab"][vocabulary.tokens[id]], id);
  }
  for (const char* member : {"add_prefix_space", "trim_offsets", "use_regex"}) {
    EXPECT_TRUE(json["decoder"].contains(member)) << member;
  }
}

// Halves of a piece, the piece of the highest score first.
TEST(GgufTokenizer, SentencepieceMergesAreThePairsThatMakeAPiece) {
  const nlohmann::json json = gguf_sentencepiece_json(toy_llama_vocabulary());
  EXPECT_EQ(json["model"]["merges"],
            nlohmann::json::parse(R"([["▁", "a"], ["b", "b"], ["▁a", "bb"], ["▁", "▁"]])"));
  EXPECT_EQ(json["model"]["byte_fallback"], true);
  EXPECT_EQ(json["added_tokens"].size(), 3U);
}

TEST(GgufTokenizer, PreDecidesHowDigitsSplit) {
  GgufVocabulary vocabulary = toy_gpt2_vocabulary();
  vocabulary.add_bos = false;
  for (const auto& [pre, joined] :
       {std::pair("llama-bpe", true), {"gpt-2", true}, {"qwen2", false}, {"smollm", false}}) {
    vocabulary.pre = pre;
    EXPECT_EQ(load_tokenizer(vocabulary)->encode("12"),
              joined ? std::vector<std::int32_t>{5} : (std::vector<std::int32_t>{3, 4}))
        << pre;
  }
}

// Names that llama.cpp gives the same pre-tokenizer; "default" is its guess, which is no model's.
TEST(GgufTokenizer, PreHasAliases) {
  constexpr std::pair<const char*, std::array<const char*, 4>> kAliases[] = {
      {"gpt-2", {"phi-2", "olmo", "exaone4", "a.x-4.0"}},
      {"llama-bpe", {"llama3", "llama-v3", "falcon3", "pixtral"}},
      {"qwen2", {"deepseek-r1-qwen", "megrez", "kormo", "stablelm2"}},
      {"smollm", {"starcoder", "refact", "command-r", "minerva-7b"}}};
  for (const auto& [name, aliases] : kAliases) {
    for (const char* alias : aliases) {
      EXPECT_EQ(gguf_split(alias).pre_tokenizer, gguf_split(name).pre_tokenizer) << alias;
      EXPECT_EQ(gguf_split(alias).ignore_merges, gguf_split(name).ignore_merges) << alias;
    }
  }
  EXPECT_EQ(gguf_split("smaug-bpe").pre_tokenizer, gguf_split("llama-bpe").pre_tokenizer);
  EXPECT_FALSE(gguf_split("smaug-bpe").ignore_merges);
  for (const char* unknown : {"", "default"}) {
    EXPECT_THAT(input_error([&] { (void)gguf_split(unknown); }), HasSubstr("tokenizer.ggml.pre"));
  }
}

std::vector<std::string> pieces_of(const std::string& pre, std::string_view text) {
  const auto chain = pretokenizer::parse_pre_tokenizer(gguf_split(pre).pre_tokenizer);
  pretokenizer::Pieces pieces(text, true);
  for (const auto& step : chain.steps) step->apply(pieces);
  std::vector<std::string> found;
  for (const auto& piece : pieces.list()) found.emplace_back(piece.text);
  return found;
}

// As tokenizers 0.23.3 splits with the patterns of these models' tokenizer.json.
TEST(GgufTokenizer, PreOfOtherModels) {
  constexpr std::string_view kText = "Don't x1234 é!?  一カ\n\nAbC  ";
  EXPECT_THAT(pieces_of("deepseek-coder", kText),
              ElementsAre("Don", "'", "t", " x", "1", "2", "3", "4", " é", "!?", " ", " ", "一カ",
                          "\n", "\n", "AbC", "  "));
  EXPECT_THAT(pieces_of("deepseek-llm", kText),
              ElementsAre("Don", "'", "t", " x", "1234", " é", "!?", "  ", "一カ", "\n", "\n",
                          "AbC", "  "));
  EXPECT_THAT(
      pieces_of("deepseek-v3", kText),
      ElementsAre("Don", "'t", " x", "123", "4", " é", "!?", "  ", "一カ", "\n\n", "AbC", "  "));
  EXPECT_THAT(pieces_of("tekken", kText), ElementsAre("Don", "'t", " x", "1", "2", "3", "4", " é",
                                                      "!?", " ", " 一カ", "\n\n", "Ab", "C", "  "));
  EXPECT_THAT(pieces_of("gpt-4o", kText), ElementsAre("Don't", " x", "123", "4", " é", "!?", " ",
                                                      " 一カ", "\n\n", "Ab", "C", "  "));
  EXPECT_THAT(pieces_of("seed-coder", kText),
              ElementsAre("Don", "'t", " x", "1", "2", "3", "4", " é", "!?", " ", " 一カ", "\n\n",
                          "AbC", "  "));
  EXPECT_THAT(pieces_of("bailingmoe", kText),
              ElementsAre("Don", "'t", " x", "1", "2", "3", "4", " é", "!?", " ", " 一カ", "\n\n",
                          "AbC", "  "));
}

TEST(GgufTokenizer, UnknownKindsAreNamed) {
  GgufVocabulary vocabulary = toy_gpt2_vocabulary();
  vocabulary.pre = "nonsense";
  EXPECT_THAT(input_error([&] { return load_tokenizer(vocabulary); }), HasSubstr("'nonsense'"));
  vocabulary.model = "bert";
  EXPECT_THAT(input_error([&] { return load_tokenizer(vocabulary); }), HasSubstr("'bert'"));
  EXPECT_THAT(input_error([&] { return tokenizer_files(vocabulary); }), HasSubstr("'bert'"));
}

TEST(GgufTokenizer, ListsOfUnequalLength) {
  GgufVocabulary scores = toy_llama_vocabulary();
  scores.scores.pop_back();
  EXPECT_THAT(input_error([&] { return load_tokenizer(scores); }),
              HasSubstr("266 tokens, 265 scores"));
  GgufVocabulary id = toy_llama_vocabulary();
  id.bos_id = 266;
  EXPECT_THAT(input_error([&] { return load_tokenizer(id); }), HasSubstr("id 266"));
  GgufVocabulary empty;
  empty.model = "llama";
  EXPECT_THAT(input_error([&] { return load_tokenizer(empty); }), HasSubstr("0 tokens"));
}

}  // namespace
}  // namespace sgpt_mi::tokenizer
