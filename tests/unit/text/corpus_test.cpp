#include "sgpt_mi/text/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "recorded_windows.h"
#include "sgpt_mi/core/hash.h"
#include "support/temporary_folder.h"
#include "support/toy_tokenizer.h"
#include "tokenizer/tokenizer_files.h"

namespace sgpt_mi::text {
namespace {

using test::input_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A folder that is data_dir and, in "hub", the HF cache.
class Corpus : public ::testing::Test {
 protected:
  void SetUp() override { setenv("HF_HUB_CACHE", (folder_.path() / "hub").c_str(), 1); }
  void TearDown() override { unsetenv("HF_HUB_CACHE"); }

  void write(const std::string& name, const std::string& text) {
    static_cast<void>(folder_.file(name, text));
  }
  std::string text_of(const std::string& set) const {
    return load_eval_text(set, {folder_.path()});
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_ =
      tokenizer::tokenizer_from_json(test::toy_tokenizer_json(), tokenizer::SpecialTokenFiles());
};

TEST_F(Corpus, WikitextRowsKeepTheirNewlineAndBlankOnesAreEmpty) {
  write("wikitext2/wiki.test.raw", " \n = A = \n \n text \n");
  EXPECT_EQ(text_of("wikitext2"), "\n\n = A = \n\n\n\n\n text \n");
}

TEST_F(Corpus, PtbLinesAreStripped) {
  write("ptb/ptb.test.txt", " no it \n was \n");
  EXPECT_EQ(text_of("ptb"), "no it was");
}

TEST_F(Corpus, PathsGiveTheFileAsItIs) {
  write("my.txt", " a\n\nb");
  EXPECT_EQ(text_of(folder_.path() / "my.txt"), " a\n\nb");
  write("my.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
  EXPECT_EQ(text_of(folder_.path() / "my.jsonl"), "a b");
}

TEST_F(Corpus, TheHubCacheComesAfterTheDataFolder) {
  const std::string snapshot = "hub/datasets--Salesforce--wikitext/snapshots/abc/";
  write(snapshot + "wikitext-2-raw-v1/train-0.jsonl", "{\"text\": \"wrong split\"}\n");
  write(snapshot + "wikitext-103-raw-v1/test-0.jsonl", "{\"text\": \"wrong set\"}\n");
  write(snapshot + "wikitext-2-raw-v1/test-0.jsonl",
        "{\"text\": \"\"}\n{\"text\": \"cached\\n\"}\n");
  EXPECT_EQ(text_of("wikitext2"), "\n\ncached\n");
  write("wikitext2/wiki.test.raw", "local\n");
  EXPECT_EQ(text_of("wikitext2"), "local\n");
}

TEST_F(Corpus, MissingSetsListThePlacesAndTheSource) {
  EXPECT_THAT(
      input_error([&] { return text_of("wikitext2"); }),
      AllOf(HasSubstr("wikitext2/wiki.test.raw"), HasSubstr("hub/datasets--Salesforce--wikitext"),
            HasSubstr("wikitext-2-raw-v1.zip"), HasSubstr("--data-dir")));
  EXPECT_THAT(input_error([&] { return text_of("c4"); }), HasSubstr("c4-validation*.json.gz"));
  EXPECT_THAT(input_error([&] { return text_of("wikitext3"); }),
              HasSubstr("'wikitext3' is neither a file nor a known set"));
}

TEST_F(Corpus, EvalSetsNameTheirTextAndTokens) {
  write("story.txt", "abcabab");
  const EvalSet set = load_eval_set(folder_.path() / "story.txt", {}, tokenizer_.get(), 2, 0);
  EXPECT_EQ(set.name, "story");
  EXPECT_EQ(set.protocol, "gptq");
  EXPECT_EQ(set.tokens, 3);
  EXPECT_EQ(set.text_sha256, sha256_hex("abcabab"));
  EXPECT_EQ(set.token_sha256, token_sha256(std::vector<std::int32_t>{5, 4, 4}));
  EXPECT_THAT(set.windows.ids, ElementsAre(5, 4));
}

TEST_F(Corpus, MaxWindowsKeepsTheFirst) {
  write("story.txt", "abcaaa");
  const std::string path = folder_.path() / "story.txt";
  EXPECT_EQ(load_eval_set(path, {}, tokenizer_.get(), 1, 0).windows.windows, 4);
  const EvalSet first = load_eval_set(path, {}, tokenizer_.get(), 1, 2);
  EXPECT_THAT(first.windows.ids, ElementsAre(5, 0));
  EXPECT_EQ(first.tokens, 4);
}

TEST_F(Corpus, RecordedWindowsNeedNoTokenizer) {
  const std::vector<std::int32_t> ids = {1, 2, 3, 4};
  write("mine.safetensors", test::safetensors_bytes("input_ids", "I32", {2, 2}, ids));
  const EvalSet set = load_eval_set(folder_.path() / "mine.safetensors", {}, nullptr, 99, 1);
  EXPECT_EQ(set.name, "mine");
  EXPECT_EQ(set.protocol, "recorded");
  EXPECT_EQ(set.text_sha256, "");
  EXPECT_EQ(set.tokens, 4);
  EXPECT_THAT(set.windows.ids, ElementsAre(1, 2));
}

TEST_F(Corpus, TextsNeedATokenizerAndOneWindow) {
  write("story.txt", "abc");
  const std::string path = folder_.path() / "story.txt";
  EXPECT_THAT(input_error([&] { return load_eval_set(path, {}, nullptr, 2, 0); }),
              HasSubstr("needs a tokenizer"));
  EXPECT_THAT(input_error([&] { return load_eval_set(path, {}, tokenizer_.get(), 2, 0); }),
              HasSubstr("1 tokens"));
}

}  // namespace
}  // namespace sgpt_mi::text
