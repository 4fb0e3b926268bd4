#include "sgpt_mi/special_tokens/added_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/temporary_folder.h"

namespace sgpt_mi::special_tokens {
namespace {

using nlohmann::json;
using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// a, b, c, ab with the ids 0 to 3, and "</s>" with 4.
BaseVocabulary toy_base() {
  static const std::map<std::string, std::int32_t> kIds = {
      {"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"</s>", 4}};
  const auto id_of = [](const std::string& token) {
    const auto found = kIds.find(token);
    return found == kIds.end() ? std::nullopt : std::optional(found->second);
  };
  return {id_of, 5, 5};
}

/// Tokens as "text=id", with "!" for special and "~" for normalized ones.
std::vector<std::string> shown(const AddedVocabulary& added) {
  std::vector<std::string> texts;
  for (const AddedToken& token : added.tokens()) {
    texts.push_back(token.content + "=" + std::to_string(token.id) + (token.special ? "!" : "") +
                    (token.normalized ? "~" : ""));
  }
  return texts;
}

/// The tokens that files of these contents add to the toy vocabulary.
std::vector<std::string> from_files(const std::map<std::string, std::string>& files,
                                    const std::vector<AddedToken>& stored = {},
                                    const RoleDefaults& defaults = {}) {
  const test::TemporaryFolder folder;
  for (const auto& [name, text] : files) (void)folder.file(name.c_str(), text);
  return shown(gather_added_tokens(toy_base(), stored, SpecialTokenFiles(folder.path()), defaults));
}

// The rules of AddedVocabulary::add as tokenizers 0.23.3 shows them with Tokenizer.add_tokens.
TEST(AddedVocabulary, NumbersNewTokensBehindTheVocabulary) {
  AddedVocabulary added(toy_base());
  for (const char* text : {"<x>", "ab", "<y>", "", "<x>"}) added.add({.content = text, .id = 90});
  EXPECT_THAT(shown(added), ElementsAre("<x>=5", "ab=3", "<y>=6"));
  EXPECT_EQ(added.id_of("<y>"), 6);
  EXPECT_EQ(added.id_of("b"), 1);
  EXPECT_EQ(added.id_of("<z>"), std::nullopt);
}

TEST(AddedVocabulary, ATokenThatComesAgainGetsTheNewSwitches) {
  AddedVocabulary added(toy_base());
  added.add({.content = "<x>", .normalized = true});
  added.add({.content = "<x>", .lstrip = true, .special = true});
  EXPECT_THAT(shown(added), ElementsAre("<x>=5!"));
  EXPECT_TRUE(added.tokens().front().lstrip);
}

// A vocabulary without its special tokens: the ids that they left free are theirs.
TEST(AddedVocabulary, FillsHolesWithTheIdsOfTheFile) {
  BaseVocabulary base = toy_base();
  base.id_count = 8;
  AddedVocabulary added(base);
  added.add({.content = "<x>", .id = 6});
  added.add({.content = "<y>"});
  EXPECT_THAT(shown(added), ElementsAre("<x>=6", "<y>=8"));
}

TEST(GatheredTokens, AreNoneWithoutFiles) { EXPECT_THAT(from_files({}), IsEmpty()); }

// Ids and switches below are those of AutoTokenizer (transformers 5.24.0) for a folder with
// these files and the toy vocabulary as GPT-2's vocab.json and merges.txt.
TEST(GatheredTokens, OfTheDecoder) {
  EXPECT_THAT(from_files({{"tokenizer_config.json", R"({"added_tokens_decoder": {
                  "6": {"content": "<y>", "special": true},
                  "5": {"content": "<x>", "lstrip": true},
                  "4": {"content": "</s>", "special": true, "normalized": true}}})"}}),
              ElementsAre("</s>=4!~", "<x>=5~", "<y>=6!"));
}

TEST(GatheredTokens, OfAddedTokensJson) {
  EXPECT_THAT(from_files({{"added_tokens.json", R"({"<y>": 6, "[PAD]": 5})"},
                          {"special_tokens_map.json", R"({"pad_token": "[PAD]"})"}}),
              ElementsAre("[PAD]=5!", "<y>=6~"));
}

// A decoder makes AutoTokenizer leave both older files alone.
TEST(GatheredTokens, TheDecoderGoesBeforeOlderFiles) {
  EXPECT_THAT(from_files({{"tokenizer_config.json",
                           R"({"added_tokens_decoder": {"5": {"content": "<x>"}}})"},
                          {"added_tokens.json", R"({"<y>": 6})"},
                          {"special_tokens_map.json", R"({"eos_token": "<z>"})"}}),
              ElementsAre("<x>=5~"));
}

TEST(GatheredTokens, OfRoles) {
  EXPECT_THAT(from_files({{"tokenizer_config.json", R"({"pad_token": "[PAD]", "eos_token": "</s>",
                     "bos_token": null, "image_token": "<image>", "add_bos_token": true})"}},
                         {}, {{"bos_token", "<s>"}, {"unk_token", "<unk>"}}),
              ElementsAre("</s>=4!", "<unk>=5!", "[PAD]=6!", "<image>=7!"));
}

TEST(GatheredTokens, TheMapGoesBeforeTheConfiguration) {
  EXPECT_THAT(from_files({{"tokenizer_config.json", R"({"eos_token": "<old>"})"},
                          {"special_tokens_map.json",
                           R"({"eos_token": {"content": "</s>", "normalized": true}})"}}),
              ElementsAre("</s>=4!~"));
}

TEST(GatheredTokens, OfExtraTokens) {
  const char* both = R"({"extra_special_tokens": ["<e>", "<f>"],
                         "additional_special_tokens": ["<g>"]})";
  EXPECT_THAT(from_files({{"tokenizer_config.json", both}}), ElementsAre("<e>=5!", "<f>=6!"));
  EXPECT_THAT(from_files({{"tokenizer_config.json",
                           R"({"additional_special_tokens": ["<h>", {"content": "<g>"}]})"}}),
              ElementsAre("<h>=5!", "<g>=6~"));
  EXPECT_THAT(from_files({{"tokenizer_config.json",
                           R"({"extra_special_tokens": {"z": "<e>", "a": "<f>"}})"}}),
              ElementsAre("<e>=5!", "<f>=6!"));
  EXPECT_THAT(
      from_files({{"special_tokens_map.json", R"({"additional_special_tokens": ["<h>"]})"}}),
      ElementsAre("<h>=5!"));
}

TEST(GatheredTokens, RolesMakeNumberedTokensSpecial) {
  EXPECT_THAT(from_files({{"tokenizer_config.json", R"({"pad_token": "<x>",
                           "added_tokens_decoder": {"5": {"content": "<x>"}}})"}}),
              ElementsAre("<x>=5!~"));
}

TEST(GatheredTokens, WhatTheVocabularysOwnFileAddsComesFirst) {
  const std::vector<AddedToken> stored = {{.content = "<y>", .id = 5}};
  EXPECT_THAT(from_files({{"added_tokens.json", R"({"<x>": 6, "<y>": 5})"}}, stored),
              ElementsAre("<y>=5", "<x>=6~"));
}

TEST(SpecialTokenFilesTest, SayWhichFileIsBroken) {
  const test::TemporaryFolder folder;
  const auto error = [&](const char* name, const char* text) {
    (void)folder.file(name, text);
    const std::string message =
        input_error([&] { (void)SpecialTokenFiles(folder.path()).numbered_tokens(); });
    (void)folder.file(name, "{}");
    return message;
  };
  EXPECT_THAT(error("special_tokens_map.json", "[]"), HasSubstr("special_tokens_map.json"));
  EXPECT_THAT(error("tokenizer_config.json", "{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("tokenizer_config.json",
                    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
              HasSubstr("Git LFS pointer"));
  EXPECT_THAT(error("added_tokens.json", R"({"x": -1})"), HasSubstr("'x'"));
  EXPECT_THAT(
      error("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "y"}}})"),
      HasSubstr("'x'"));
}

TEST(SpecialTokenFilesTest, KnowTheKindOfTheTokenizer) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(SpecialTokenFiles(folder.path()).tokenizer_class(), "");
  (void)folder.file("config.json", R"({"model_type": "qwen2", "tokenizer_class": "A"})");
  EXPECT_EQ(SpecialTokenFiles(folder.path()).model_type(), "qwen2");
  EXPECT_EQ(SpecialTokenFiles(folder.path()).tokenizer_class(), "A");
  (void)folder.file("tokenizer_config.json", R"({"tokenizer_class": "Qwen2TokenizerFast"})");
  EXPECT_EQ(SpecialTokenFiles(folder.path()).tokenizer_class(), "Qwen2Tokenizer");
}

}  // namespace
}  // namespace sgpt_mi::special_tokens
