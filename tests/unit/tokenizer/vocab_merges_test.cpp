#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "tokenizer/tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

using test::input_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kVocab =
    R"({"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4, "Ġ": 5, "Ġab": 6, "<": 7, "/": 8, "s": 9,
        ">": 10, "<|endoftext|>": 11})";
constexpr const char* kMerges = "#version: 0.2\na b\nĠ ab\n";

class VocabMerges : public ::testing::Test {
 protected:
  void SetUp() override {
    write("vocab.json", kVocab);
    write("merges.txt", kMerges);
  }
  void write(const char* name, const char* text) { static_cast<void>(folder_.file(name, text)); }
  std::unique_ptr<Tokenizer> load() const {
    return tokenizer_from_vocab_and_merges(folder_.path(), SpecialTokenFiles(folder_.path()));
  }

  test::TemporaryFolder folder_;
};

TEST_F(VocabMerges, PlainGpt2PutsNothingInFront) {
  const auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ab ab"), ElementsAre(4, 6));
  EXPECT_THAT(tokenizer->encode("a<|endoftext|>"), ElementsAre(2, 11));
  EXPECT_EQ(tokenizer->bos_id(), std::nullopt);
  EXPECT_EQ(tokenizer->vocab_size(), 12);
}

TEST_F(VocabMerges, BosAsTheConfigurationSays) {
  write("tokenizer_config.json", R"({"add_bos_token": true, "bos_token": "</s>"})");
  const auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(1, 4));
  EXPECT_THAT(tokenizer->encode("ab", false), ElementsAre(4));
  EXPECT_EQ(tokenizer->bos_id(), 1);
}

TEST_F(VocabMerges, OnlyDeclaredTokensAreSpecial) {
  write("special_tokens_map.json", R"({"bos_token": {"content": "</s>", "lstrip": false}})");
  const auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("</s>"), ElementsAre(1));
  EXPECT_THAT(tokenizer->encode("<s>"), ElementsAre(7, 9, 10));
}

TEST_F(VocabMerges, TheMapGoesBeforeTheConfiguration) {
  write("tokenizer_config.json", R"({"add_bos_token": true, "bos_token": "<s>"})");
  write("special_tokens_map.json", R"({"bos_token": "</s>"})");
  EXPECT_EQ(load()->bos_id(), 1);
}

TEST_F(VocabMerges, AddedTokensHaveTheirOwnIds) {
  write("added_tokens.json", R"({"<x>": 12})");
  const auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("a<x>b"), ElementsAre(2, 12, 3));
  EXPECT_EQ(tokenizer->vocab_size(), 13);
}

// The fine-tuned OPT of Alpaca's recipe: the id is in added_tokens.json alone, or nowhere.
TEST_F(VocabMerges, RolesThatTheVocabularyLacksAreAdded) {
  write("tokenizer_config.json", R"({"add_bos_token": true, "pad_token": "[PAD]",
                                     "bos_token": "</s>", "eos_token": "</s>"})");
  EXPECT_THAT(load()->encode("a[PAD]b"), ElementsAre(1, 2, 12, 3));
  write("added_tokens.json", R"({"[PAD]": 12})");
  EXPECT_THAT(load()->encode("a[PAD]b"), ElementsAre(1, 2, 12, 3));
}

TEST_F(VocabMerges, FrameOfBothSides) {
  write(
      "tokenizer_config.json",
      R"({"add_bos_token": true, "add_eos_token": true, "bos_token": null, "eos_token": "</s>"})");
  EXPECT_THAT(load()->encode("a"), ElementsAre(2, 1));
}

// Digits stand alone, words take a letter case, and e + U+0301 is composed first.
TEST_F(VocabMerges, Qwen2HasItsOwnPatternAndNfc) {
  write("vocab.json", R"({"1": 0, "2": 1, "12": 2, "Ã©": 3, "Ã": 4, "©": 5, "e": 6})");
  write("merges.txt", "1 2\nÃ ©\n");
  EXPECT_THAT(load()->encode("12"), ElementsAre(2));
  EXPECT_THAT(load()->encode("e\u0301").front(), 6);
  const auto expect_qwen2 = [&] {
    EXPECT_THAT(load()->encode("12"), ElementsAre(0, 1));
    EXPECT_THAT(load()->encode("e\u0301"), ElementsAre(3));
    EXPECT_THAT(load()->encode("1<|endoftext|>"), ElementsAre(0, 7));  // its default EOS
  };
  write("config.json", R"({"model_type": "qwen2"})");
  expect_qwen2();
  write("config.json", R"({"model_type": "qwen3"})");
  expect_qwen2();
  write("config.json", R"({"model_type": "llama"})");
  EXPECT_THAT(load()->encode("12"), ElementsAre(2));
  write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2TokenizerFast"})");
  expect_qwen2();
}

TEST_F(VocabMerges, PrefixSpace) {
  write("tokenizer_config.json", R"({"add_prefix_space": true})");
  EXPECT_THAT(load()->encode("ab"), ElementsAre(6));
}

TEST_F(VocabMerges, DamagedFilesAreNamed) {
  write("merges.txt", "#version: 0.2\na b\nab\n");
  EXPECT_THAT(input_error([&] { return load(); }), HasSubstr("merges.txt line 3"));
  write("merges.txt", kMerges);
  write("special_tokens_map.json", "[]");
  EXPECT_THAT(input_error([&] { return load(); }), HasSubstr("special_tokens_map.json"));
  write("special_tokens_map.json", "{}");
  write("vocab.json", "[1]");
  EXPECT_THAT(input_error([&] { return load(); }),
              AllOf(HasSubstr("array"), HasSubstr("vocab.json")));
  write("vocab.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  EXPECT_THAT(input_error([&] { return load(); }), HasSubstr("Git LFS pointer"));
}

}  // namespace
}  // namespace sgpt_mi::tokenizer
