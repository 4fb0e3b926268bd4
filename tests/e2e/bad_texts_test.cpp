#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
