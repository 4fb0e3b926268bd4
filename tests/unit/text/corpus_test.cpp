#include "sgpt_mi/text/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "recorded_windows.h"
#include "sgpt_mi/core/hash.h"
#include "support/packers.h"
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
  void SetUp() override {
    setenv("HF_HUB_CACHE", (folder_.path() / "hub").c_str(), 1);
    setenv("HF_HUB_OFFLINE", "1", 1);
  }
  void TearDown() override {
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_HUB_OFFLINE");
  }

  void write(const std::string& name, const std::string& text) {
    static_cast<void>(folder_.file(name, text));
  }
  std::string text_of(const std::string& set) const {
    return load_eval_text(set, {folder_.path()});
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_ =
      tokenizer::tokenizer_from_json(test::toy_tokenizer_json(), {});
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

TEST_F(Corpus, TheSameTextInAnyContainerHasTheSameHash) {
  const std::string lines = "{\"text\": \"ab\"}\n{\"text\": \"cab\"}\n";
  const std::string wanted = sha256_hex("ab cab");
  for (const auto& [name, bytes] :
       {std::pair("d.jsonl", lines), std::pair("d.txt.xz", test::xz(lines)),
        std::pair("a.json", std::string("[{\"text\": \"ab\"},\n{\"text\": \"cab\"}]")),
        std::pair("t.txt", std::string("ab cab")), std::pair("t.zst", test::zstd("ab cab")),
        std::pair("b.txt", std::string("\xEF\xBB\xBF") + "ab cab")}) {
    write(name, bytes);
    EXPECT_EQ(sha256_hex(text_of(folder_.path() / name)), wanted) << name;
  }
}

TEST_F(Corpus, AnotherKeyIsForFilesAlone) {
  write("my.jsonl", "{\"body\": \"a\", \"text\": \"b\"}\n");
  write("c4/c4-validation.json.gz", test::gzip("{\"body\": \"a\", \"text\": \"b\"}\n"));
  const DataSettings data{folder_.path(), "body"};
  EXPECT_EQ(load_eval_text(folder_.path() / "my.jsonl", data), "a");
  EXPECT_EQ(load_eval_text("c4", data), "b");
}

TEST_F(Corpus, FoldersListTheFilesThatWouldDo) {
  write("set/train/data-00000-of-00001.arrow", "");
  write("set/b.jsonl", "");
  write("set/state.txt", "");
  EXPECT_THAT(input_error([&] { return text_of(folder_.path() / "set"); }),
              AllOf(HasSubstr("set' is a folder; expected a file, such as one of those in it: "
                              "b.jsonl, train/data-00000-of-00001.arrow")));
  write("empty/x", "");
  EXPECT_THAT(input_error([&] { return text_of(folder_.path() / "empty"); }),
              ::testing::EndsWith("empty' is a folder; expected a file"));
}

TEST_F(Corpus, FilesWithoutTextAreNamed) {
  write("e.txt", "");
  EXPECT_THAT(input_error([&] { return text_of(folder_.path() / "e.txt"); }),
              HasSubstr("e.txt' holds no text (it is empty)"));
  write("e.jsonl", "\n");
  EXPECT_THAT(input_error([&] { return text_of(folder_.path() / "e.jsonl"); }),
              HasSubstr("e.jsonl' holds no text (0 records)"));
  write("f.jsonl", "{\"text\": \"\"}\n{\"text\": \"\"}\n");
  EXPECT_THAT(input_error([&] { return text_of(folder_.path() / "f.jsonl"); }),
              HasSubstr("2 records"));
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

TEST_F(Corpus, OfSeveralSnapshotsTheOneOfRefsMainIsTaken) {
  const std::string cached = "hub/datasets--Salesforce--wikitext/";
  const std::string file = "/wikitext-2-raw-v1/test-0.jsonl";
  write(cached + "snapshots/aaa" + file, "{\"text\": \"old\"}\n");
  write(cached + "snapshots/bbb" + file, "{\"text\": \"new\"}\n");
  write(cached + "snapshots/ccc" + file, "{\"text\": \"other\"}\n");
  EXPECT_EQ(text_of("wikitext2"), "old") << "without refs by name";
  write(cached + "refs/main", "bbb");
  EXPECT_EQ(text_of("wikitext2"), "new");
}

TEST_F(Corpus, TheConvertedBranchOfPtbIsFoundInTheCache) {
  const std::string cached = "hub/datasets--ptb-text-only--ptb_text_only/";
  write(cached + "snapshots/aaa/ptb_text_only.py", "");
  write(cached + "snapshots/bbb/penn_treebank/test/0000.jsonl", "{\"text\": \"no it\"}\n");
  write(cached + "refs/main", "aaa");
  write(cached + "refs/refs/convert/parquet", "bbb");
  EXPECT_EQ(text_of("ptb"), "no it");
}

TEST_F(Corpus, MissingSetsListThePlacesAndTheSource) {
  EXPECT_THAT(input_error([&] { return text_of("wikitext2"); }),
              AllOf(HasSubstr("wikitext2/wiki.test.raw"),
                    HasSubstr("Salesforce/wikitext in " + (folder_.path() / "hub").string()),
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
