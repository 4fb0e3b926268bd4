#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;

class BadText : public testing::Test {
 protected:
  /// What a compression says that calibrates with `dataset`; the exit code must be 3.
  std::string calibrate_with(const std::string& dataset) {
    auto arguments = small_compression(demo_model().string());
    arguments[2] = dataset;
    const ProgramResult result = run_program(folder_, arguments);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    return result.err;
  }

  std::string evaluate(const std::string& set) {
    const ProgramResult result =
        run_program(folder_, {"eval", demo_model().string(), "--eval", set, "--data_dir",
                              folder_.path().string(), "--device", "cpu"});
    EXPECT_EQ(result.exit_code, 3) << result.err;
    return result.err;
  }

  TemporaryFolder folder_;
};

TEST_F(BadText, MissingSetListsThePlacesTried) {
  const std::string text = evaluate("wikitext2");
  EXPECT_THAT(text, HasSubstr((folder_.path() / "wikitext2" / "wiki.test.raw").string()));
}

TEST_F(BadText, MissingFile) {
  EXPECT_THAT(calibrate_with((folder_.path() / "none.txt").string()), HasSubstr("none.txt"));
}

TEST_F(BadText, ShorterThanAWindow) {
  EXPECT_THAT(calibrate_with(folder_.file("short.txt", "Only a few words.").string()),
              HasSubstr("short.txt"));
  EXPECT_THAT(evaluate(folder_.file("short_eval.txt", "Only a few words.").string()),
              HasSubstr("short_eval.txt"));
}

TEST_F(BadText, NoDocumentIsLongEnough) {
  EXPECT_THAT(calibrate_with(folder_.file("docs.jsonl", "{\"text\": \"short\"}\n").string()),
              HasSubstr("docs.jsonl"));
}

TEST_F(BadText, FewDocumentsAreTold) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "Once upon a time there was a number, " + std::to_string(i) + ". ";
  auto arguments = small_compression(demo_model().string());
  arguments[2] = folder_.file("one.txt", "{\"body\": \"" + text + "\"}\n{\"body\": \"short\"}\n");
  const std::string report = (folder_.path() / "report.json").string();
  const ProgramResult result = run_program(
      folder_, arguments + std::vector<std::string>{"--text_key", "body", "--report", report});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string warning = "only 1 of the 2 documents of";
  EXPECT_THAT(result.err, HasSubstr(warning));
  EXPECT_THAT(read_all(report), HasSubstr(warning));
}

TEST_F(BadText, ReadsNoOtherEncodingAndNoPointer) {
  EXPECT_THAT(calibrate_with(folder_.file("latin.txt", "A text in a caf\xE9").string()),
              HasSubstr("latin.txt: byte 0xE9 at offset 15"));
  EXPECT_THAT(
      evaluate(folder_.file("lfs.jsonl", "version https://git-lfs.github.com/spec/v1\n").string()),
      HasSubstr("lfs.jsonl is a Git LFS pointer"));
}

TEST_F(BadText, ReportsTakeNamesThatAreNotUtf8) {
  const std::filesystem::path text = folder_.path() / "na\xFFme.txt";
  std::filesystem::copy(demo_text("test.txt"), text);
  const std::filesystem::path report = folder_.path() / "report.json";
  const ProgramResult result = run_program(
      folder_, {"eval", demo_model().string(), "--seqlen", "128", "--eval", text.string(),
                "--eval_windows", "2", "--device", "cpu", "--report", report.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(nlohmann::json::parse(read_all(report))["perplexity"].contains("na\uFFFDme"));
}

TEST_F(BadText, MalformedFiles) {
  EXPECT_THAT(
      calibrate_with(folder_.file("bad.jsonl", "{\"text\": \"a\"}\n{\"text\": \n").string()),
      HasSubstr("bad.jsonl"));
  EXPECT_THAT(calibrate_with(folder_.file("bad.json.gz", "this is not gzip").string()),
              HasSubstr("bad.json.gz"));
  EXPECT_THAT(calibrate_with(folder_.file("bad.parquet", "this is not parquet").string()),
              HasSubstr("bad.parquet"));
  EXPECT_THAT(calibrate_with(folder_.file("bad.safetensors", "12345678").string()),
              HasSubstr("bad.safetensors"));
}

}  // namespace
}  // namespace sgpt_mi::test
