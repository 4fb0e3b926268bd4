#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/tokenizer/tokenizer.h"
#include "support/shared_data.h"
#include "support/temporary_folder.h"
#include "toy_vocabulary.h"

namespace sgpt_mi::tokenizer {
namespace {

using nlohmann::json;
using test::input_error;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kTexts[] = {"", "ab 12 abb", "a<bos>b <tool>", "bb  ab", "abb babb  a"};

void write_files(const TemporaryFolder& folder, const GgufVocabulary& vocabulary) {
  for (const auto& [name, bytes] : tokenizer_files(vocabulary)) (void)folder.file(name, bytes);
}

void expect_same_ids(const TemporaryFolder& folder, const GgufVocabulary& vocabulary) {
  const auto from_files = load_tokenizer(folder.path());
  const auto from_vocabulary = load_tokenizer(vocabulary);
  for (const char* text : kTexts) {
    EXPECT_EQ(from_files->encode(text), from_vocabulary->encode(text)) << text;
  }
}

TEST(FolderVocabulary, OfAByteLevelTokenizer) {
  const TemporaryFolder folder;
  const GgufVocabulary source = test::toy_gpt2_vocabulary();
  for (const char* pre : {"llama-bpe", "gpt-2", "qwen2", "smollm"}) {
    GgufVocabulary given = source;
    given.pre = pre;
    write_files(folder, given);
    const GgufVocabulary found = gguf_vocabulary_of(folder.path(), json::object()).value();
    EXPECT_EQ(found.pre, pre);
    EXPECT_EQ(found.model, "gpt2");
    EXPECT_EQ(found.tokens, source.tokens);
    EXPECT_EQ(found.merges, source.merges);
    EXPECT_EQ(found.bos_id, source.bos_id);
    EXPECT_EQ(found.types[8], 3);
    EXPECT_TRUE(found.add_bos);
    EXPECT_FALSE(found.add_space_prefix);
    expect_same_ids(folder, found);
  }
}

TEST(FolderVocabulary, OfASentencepieceModel) {
  const TemporaryFolder folder;
  const GgufVocabulary source = test::toy_llama_vocabulary();
  write_files(folder, source);
  const GgufVocabulary found = gguf_vocabulary_of(folder.path(), {{"pad_token_id", 2}}).value();
  EXPECT_EQ(found.model, "llama");
  EXPECT_EQ(found.pre, "default");
  EXPECT_EQ(found.tokens, source.tokens);
  EXPECT_EQ(found.types[1], 3);
  EXPECT_EQ(found.types[test::kToyByte0], 6);
  EXPECT_EQ(found.scores[test::kToySpaceAbb], -2.0F);
  EXPECT_EQ(found.bos_id, 1);
  EXPECT_EQ(found.pad_id, 2);
  EXPECT_TRUE(found.add_bos);
  EXPECT_TRUE(found.add_space_prefix);
  expect_same_ids(folder, found);
}

/// tokenizer.json as made from a sentencepiece model; byte b has the id 10 + b.
json merged_tokenizer() {
  json tokenizer = json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true},
                     {"id": 9, "content": "<x\u2581y>", "special": false}],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    "pre_tokenizer": null,
    "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
              "vocab": {"<unk>": 0, "c": 1, "\u2581": 2, "a": 3, "b": 4, "ab": 5,
                        "\u2581ab": 6, "bb": 7},
              "merges": [["b", "b"], "a b", ["\u2581", "ab"]]}})");
  const GgufVocabulary bytes = test::toy_llama_vocabulary();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    tokenizer["model"]["vocab"][bytes.tokens[test::kToyByte0 + byte]] = 10 + byte;
  }
  return tokenizer;
}

TEST(FolderVocabulary, OfMergesGetsScoresInTheirOrder) {
  const TemporaryFolder folder;
  (void)folder.file("tokenizer.json", merged_tokenizer().dump());
  const GgufVocabulary found = gguf_vocabulary_of(folder.path(), json::object()).value();
  EXPECT_EQ(found.model, "llama");
  const auto first_ten = [](const auto& values) {
    return std::vector<int>(values.begin(), values.begin() + 10);
  };
  EXPECT_THAT(first_ten(found.scores),
              ElementsAre(-1000, -3, -3, -3, -3, -1, -2, 0, -10000, -1000));
  EXPECT_THAT(first_ten(found.types), ElementsAre(3, 1, 1, 1, 1, 1, 1, 1, 5, 4));
  EXPECT_EQ(found.types[10], 6);
  EXPECT_EQ(found.tokens[8], "[PAD8]");
  EXPECT_EQ(found.tokens[9], "<x y>");
  EXPECT_EQ(found.unk_id, 0);
  EXPECT_FALSE(found.add_bos);
  EXPECT_TRUE(found.add_space_prefix);
  const auto direct = load_tokenizer(folder.path());
  const auto through = load_tokenizer(found);
  for (const char* text : {"ab", "abb", "bbb ab", "a", "\xC3\xA9 ab"}) {
    EXPECT_EQ(direct->encode(text), through->encode(text)) << text;
  }
}

TEST(FolderVocabulary, NamesWhatGgufCannotSay) {
  const TemporaryFolder folder;
  const auto error_for = [&](const json& tokenizer) {
    (void)folder.file("tokenizer.json", tokenizer.dump());
    return input_error([&] { (void)gguf_vocabulary_of(folder.path(), json::object()); });
  };
  json split = merged_tokenizer();
  split["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  EXPECT_THAT(error_for(split), HasSubstr("WhitespaceSplit"));
  json bytes = merged_tokenizer();
  bytes["model"]["byte_fallback"] = false;
  bytes["normalizer"] = {{"type", "NFD"}};
  bytes["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  EXPECT_THAT(error_for(bytes), HasSubstr("NFD"));
  bytes["normalizer"] = nullptr;
  bytes["pre_tokenizer"]["add_prefix_space"] = true;
  EXPECT_THAT(error_for(bytes), HasSubstr("llama.cpp has no name for this pre-tokenizer"));
}

TEST(FolderVocabulary, NothingWithoutATokenizer) {
  const TemporaryFolder folder;
  EXPECT_FALSE(gguf_vocabulary_of(folder.path(), json::object()).has_value());
}

TEST(FolderVocabulary, OfPublishedTokenizers) {
  SGPT_MI_SHARED_OR_SKIP(folder, "tokenizers");
  constexpr std::pair<const char*, const char*> kExpected[] = {
      {"gpt2", "gpt-2"}, {"llama2", "default"}, {"opt", "gpt-2"}};
  constexpr const char* kText = "Hello, wörld!  It's 12345 \xF0\x9F\xA6\x99 <|endoftext|> </s> x";
  for (const auto& [name, pre] : kExpected) {
    const GgufVocabulary found = gguf_vocabulary_of(folder / name, json::object()).value();
    EXPECT_EQ(found.pre, pre) << name;
    EXPECT_EQ(load_tokenizer(found)->encode(kText), load_tokenizer(folder / name)->encode(kText))
        << name;
  }
}

}  // namespace
}  // namespace sgpt_mi::tokenizer
