#include "hub/model_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::hub {
namespace {

using test::input_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Names = std::vector<std::string>;

ModelName named(const std::string& file = "") { return {"org/m", file, "main"}; }

std::vector<std::string> chosen(const Names& names, const std::string& file = "") {
  return choose_files(named(file), names, Part::kAll).files;
}

// The files of facebook/opt-125m on the Hub.
TEST(ModelChoice, TakesWhatIsReadAndNothingElse) {
  EXPECT_THAT(
      chosen({".gitattributes", "LICENSE.md", "README.md", "config.json", "flax_model.msgpack",
              "generation_config.json", "merges.txt", "pytorch_model.bin",
              "special_tokens_map.json", "tf_model.h5", "tokenizer_config.json", "vocab.json"}),
      ElementsAre("config.json", "generation_config.json", "tokenizer_config.json",
                  "special_tokens_map.json", "vocab.json", "merges.txt", "pytorch_model.bin"));
}

TEST(ModelChoice, SafetensorsGoBeforePickles) {
  const Choice choice = choose_files(
      named(),
      {"config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
       "pytorch_model.bin", "original/consolidated.00.pth"},
      Part::kAll);
  EXPECT_THAT(choice.files, ElementsAre("config.json", "model.safetensors.index.json"));
  EXPECT_EQ(choice.index, "model.safetensors.index.json");
  EXPECT_THAT(chosen({"config.json", "pytorch_model.bin.index.json", "model.safetensors"}),
              ElementsAre("config.json", "model.safetensors"));
}

TEST(ModelChoice, TokenizeNeedsNoWeights) {
  EXPECT_THAT(choose_files(named(), {"config.json", "model.safetensors", "tokenizer.json"},
                           Part::kTokenizer)
                  .files,
              ElementsAre("config.json", "tokenizer.json"));
}

TEST(ModelChoice, TokenizeTakesATokenizerWithoutWeightsThatAreRead) {
  for (const Names& names : {Names{"config.json", "tf_model.h5", "tokenizer.json"},
                             Names{"m-Q4_0.gguf", "m-Q8_0.gguf", "tokenizer.json"},
                             Names{"adapter_config.json", "tokenizer.json"}}) {
    EXPECT_THAT(choose_files(named(), names, Part::kTokenizer).files,
                ::testing::Contains("tokenizer.json"));
  }
  EXPECT_THAT(input_error([] {
                (void)choose_files(named(), {"config.json", "tf_model.h5"}, Part::kTokenizer);
              }),
              HasSubstr("no weights"));
}

TEST(ModelChoice, OneGgufIsTakenSeveralAreListed) {
  EXPECT_THAT(chosen({"README.md", "m.gguf", "mmproj-m.gguf"}), ElementsAre("m.gguf"));
  EXPECT_THAT(
      input_error([] {
        (void)chosen({"m-Q4_0.gguf", "m-Q8_0.gguf"});
      }),
      AllOf(HasSubstr("several GGUF files: m-Q4_0.gguf, m-Q8_0.gguf"), HasSubstr("org/m:TYPE")));
  EXPECT_THAT(chosen({"config.json", "m.gguf"}), ElementsAre("m.gguf"));
}

TEST(ModelChoice, AFileBesideTheSplitModelOfItsNameIsAnother) {
  const Names names{"x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "x.gguf"};
  EXPECT_THAT(chosen(names, "x.gguf"), ElementsAre("x.gguf"));
  EXPECT_THAT(chosen(names, "x-00001-of-00002.gguf"),
              ElementsAre("x-00001-of-00002.gguf", "x-00002-of-00002.gguf"));
  EXPECT_THAT(input_error([&] { (void)chosen(names); }),
              HasSubstr("several GGUF files: x.gguf, x-00001-of-00002.gguf"));
}

TEST(ModelChoice, TypesAreTheEndOfAName) {
  const Names names{"m-IQ4_K_M.gguf", "m-Q4_K_M.gguf", "m.q8_0.gguf", "Q6_K/m-00001-of-00002.gguf",
                    "Q6_K/m-00002-of-00002.gguf"};
  EXPECT_THAT(chosen(names, "Q4_K_M"), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen(names, "q8_0"), ElementsAre("m.q8_0.gguf"));
  EXPECT_THAT(chosen(names, "Q6_K"),
              ElementsAre("Q6_K/m-00001-of-00002.gguf", "Q6_K/m-00002-of-00002.gguf"));
  EXPECT_THAT(chosen(names, "m-00002-of-00002.gguf"),
              ElementsAre("Q6_K/m-00001-of-00002.gguf", "Q6_K/m-00002-of-00002.gguf"));
  EXPECT_THAT(chosen(names, "m.q8_0.gguf"), ElementsAre("m.q8_0.gguf"));
  EXPECT_THAT(input_error([&] { (void)chosen(names, "Q3_K"); }),
              AllOf(HasSubstr("no GGUF file like 'Q3_K'"), HasSubstr("m-Q4_K_M.gguf")));
  EXPECT_THAT(input_error([] {
                (void)chosen({"config.json", "model.safetensors"}, "Q4_0");
              }),
              HasSubstr("has no GGUF file"));
  EXPECT_THAT(input_error([] { (void)chosen({"m-00002-of-00002.gguf"}); }),
              HasSubstr("1 of the 2 parts"));
}

TEST(ModelChoice, OtherWeightsAreNamed) {
  EXPECT_THAT(input_error([] {
                (void)chosen({"config.json", "tf_model.h5"});
              }),
              AllOf(HasSubstr("no weights of a known kind"), HasSubstr("model.safetensors")));
  EXPECT_THAT(input_error([] { (void)chosen({"README.md"}); }), HasSubstr("no config.json"));
  EXPECT_THAT(input_error([] {
                (void)chosen({"adapter_config.json", "adapter_model.safetensors"});
              }),
              HasSubstr("an adapter without its base model"));
}

TEST(ModelChoice, AnIndexThatLeavesItsFolderIsRefused) {
  const test::TemporaryFolder folder;
  const auto index = folder.file("i.json", R"({"weight_map": {"a": "s1", "b": "s2", "c": "s1"}})");
  EXPECT_THAT(shards_of(index), ElementsAre("s1", "s2"));
  const auto bad = folder.file("b.json", R"({"weight_map": {"a": "../../x"}})");
  EXPECT_THAT(input_error([&] { (void)shards_of(bad); }), HasSubstr("../../x"));
}

TEST(ModelChoice, ASnapshotIsWholeWithConfigAndAllShards) {
  const test::TemporaryFolder folder;
  const auto whole = [&](const std::string& file = "") {
    return complete_model(folder.path(), named(file), Part::kAll);
  };
  (void)folder.file("config.json", "{}");
  EXPECT_FALSE(whole());
  (void)folder.file("model.safetensors.index.json", R"({"weight_map": {"a": "s1", "b": "s2"}})");
  (void)folder.file("s1", "");
  EXPECT_FALSE(whole());
  std::filesystem::create_symlink("blob that is gone", folder.path() / "s2");
  EXPECT_FALSE(whole());
  std::filesystem::remove(folder.path() / "s2");
  (void)folder.file("s2", "");
  ASSERT_TRUE(whole());
  EXPECT_EQ(whole()->lacks, "a tokenizer");
  (void)folder.file("tokenizer.json", "{}");
  EXPECT_EQ(whole()->lacks, "tokenizer_config.json");
  (void)folder.file("tokenizer_config.json", "{}");
  EXPECT_EQ(whole()->lacks, "");
  EXPECT_FALSE(whole("Q4_0"));
  (void)folder.file("x/m-Q4_0-00001-of-00002.gguf", "");
  EXPECT_FALSE(whole("Q4_0"));
  (void)folder.file("x/m-Q4_0-00002-of-00002.gguf", "");
  EXPECT_EQ(whole("Q4_0")->path, folder.path() / "x/m-Q4_0-00001-of-00002.gguf");
  EXPECT_FALSE(whole("Q4_0")->is_guess);
}

TEST(ModelChoice, ASnapshotOfOneGgufMayNotBeTheModel) {
  const test::TemporaryFolder folder;
  (void)folder.file("m.gguf", "");
  EXPECT_TRUE(complete_model(folder.path(), named(), Part::kAll)->is_guess);
  (void)folder.file("vocab.json", "");
  (void)folder.file("merges.txt", "");
  const auto tokenizer = complete_model(folder.path(), named(), Part::kTokenizer);
  EXPECT_FALSE(tokenizer->is_guess);
  EXPECT_EQ(tokenizer->path, folder.path());
  EXPECT_EQ(tokenizer->lacks, "tokenizer_config.json");
}

}  // namespace
}  // namespace sgpt_mi::hub
