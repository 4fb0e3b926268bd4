// --coding and --keep_embeddings: whether levels for an entropy coder take the place of codes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runs.h"
#include "sgpt_mi/flags/flag_table.h"

namespace sgpt_mi::cli {
namespace {

using testing::HasSubstr;

bool takes_levels(Flags flags, const std::string& coding = "auto") {
  flags.insert(flags.end(), {"--coding", coding});
  return compression(flags).entropy;
}

std::string entropy_error(Flags flags) {
  flags.insert(flags.end(), {"--coding", "entropy"});
  return usage_error(flags);
}

TEST(CodingSettings, RdTakesLevelsWhereverItCodes) {
  EXPECT_TRUE(compression({"--wbits", "4"}).entropy) << "auto is what is meant without the flag";
  for (const Flags& flags : std::vector<Flags>{{"--wbits", "3"},
                                               {"--wbits", "4", "--format", "packed"},
                                               {"--target_avg_bits", "3.5"},
                                               {"--target_stored_bits", "2.5"},
                                               {"--target_bytes", "50MB"},
                                               {"--sparsity", "0.5", "--wbits", "4"},
                                               {"--pattern", "2:4", "--wbits", "4"},
                                               {"--act_order", "--wbits", "4"}}) {
    EXPECT_TRUE(takes_levels(flags)) << testing::PrintToString(flags);
    EXPECT_TRUE(takes_levels(flags, "entropy")) << testing::PrintToString(flags);
    EXPECT_FALSE(takes_levels(flags, "fixed")) << testing::PrintToString(flags);
  }
}

TEST(CodingSettings, TheMeasuredPlanIsOfLevels) {
  EXPECT_TRUE(compression({"--wbits", "4"}).goal().levels);
  EXPECT_FALSE(compression({"--wbits", "4", "--coding", "fixed"}).goal().levels);
}

TEST(CodingSettings, OtherMethodsTakeThemWhenAsked) {
  for (const char* method : {"sparsegpt", "magnitude", "mi", "enhanced", "toky"}) {
    EXPECT_FALSE(takes_levels({"--wbits", "4", "--method", method})) << method;
    EXPECT_TRUE(takes_levels({"--wbits", "4", "--method", method}, "entropy")) << method;
  }
  // Their codes of fixed widths are what is coded, so flags about grids say something.
  EXPECT_TRUE(takes_levels({"--wbits", "4", "--method", "sparsegpt", "--groupsize", "64", "--sym"},
                           "entropy"));
}

TEST(CodingSettings, WithoutCodesThereIsNothingToCode) {
  EXPECT_FALSE(takes_levels({"--sparsity", "0.5"}));
  EXPECT_FALSE(takes_levels({"--pattern", "2:4"}));
}

TEST(CodingSettings, OnlyPackedFilesHoldLevels) {
  for (const char* format : {"hf", "gguf", "gptq", "gptq-v1", "compressed-tensors"}) {
    const Flags flags{"--wbits", "4", "--format", format};
    EXPECT_FALSE(takes_levels(flags)) << format;
    EXPECT_THAT(entropy_error(flags), HasSubstr("--format packed alone")) << format;
  }
}

TEST(CodingSettings, AFlagAboutGridsOrWidthsMeansCodes) {
  const std::vector<std::pair<std::string, Flags>> asks{
      {"n_groups", {"--n_groups", "2"}},
      {"grouping", {"--grouping", "hessian"}},
      {"groupsize", {"--groupsize", "64"}},
      {"sym", {"--sym"}},
      {"attention_bits", {"--attention_bits", "4"}},
      {"ffn_bits", {"--ffn_bits", "4"}},
      {"levels", {"--levels", "2,4,8"}},
      {"width_plan", {"--width_plan", "1"}},
      {"clustering", {"--clustering", "kmeans"}},
      {"mse", {"--mse"}},
      {"mi_method", {"--mi_method", "gaussian"}},
      {"weighted_clip", {"--weighted_clip", "0"}},
      {"grid_after_mask", {"--grid_after_mask", "1"}}};
  for (const auto& [key, typed] : asks) {
    Flags flags{"--wbits", "4"};
    flags.insert(flags.end(), typed.begin(), typed.end());
    EXPECT_FALSE(takes_levels(flags)) << key;
    EXPECT_THAT(entropy_error(flags), HasSubstr("--" + key + " is about grids")) << key;
  }
  EXPECT_THAT(entropy_error({"--wbits", "4", "--groupsize", "64", "--static_groups"}),
              HasSubstr("is about grids"));
}

TEST(CodingSettings, FilesThatNameTheDefaultsDoNot) {
  const test::TemporaryFolder folder;
  const std::string defaults =
      folder
          .file("defaults.json", R"({"coding": "auto", "groupsize": -1, "sym": false, "mse": false,
      "static_groups": false, "weighted_clip": -1, "keep_embeddings": false})")
          .string();
  EXPECT_TRUE(compression({"--wbits", "4", "--config", defaults}).entropy);
  const std::string grouped = folder.file("grouped.json", R"({"groupsize": 64})").string();
  EXPECT_FALSE(compression({"--wbits", "4", "--config", grouped}).entropy);
  const std::string fixed = folder.file("fixed.json", R"({"coding": "fixed"})").string();
  EXPECT_FALSE(compression({"--wbits", "4", "--config", fixed}).entropy);
  EXPECT_TRUE(compression({"--wbits", "4", "--config", fixed, "--coding", "auto"}).entropy);
}

TEST(CodingSettings, TheWholeDefaultConfigurationTakesLevels) {
  const std::string file = std::string(SGPT_MI_SOURCE_DIR) + "/configs/default.json";
  EXPECT_TRUE(compression({"--wbits", "4", "--config", file}).entropy);
}

TEST(CodingSettings, UnknownCodingsAreNamed) {
  EXPECT_THAT(usage_error({"--wbits", "4", "--coding", "huffman"}),
              HasSubstr("coding: 'huffman' is unknown; there are auto, fixed, entropy"));
  EXPECT_THAT(usage_error({"--sparsity", "0.5", "--coding", ""}),
              HasSubstr("--coding has an empty value"));
}

TEST(CodingSettings, EmbeddingsAreKeptWhenAsked) {
  EXPECT_FALSE(compression({"--wbits", "4"}).keep_embeddings);
  EXPECT_TRUE(compression({"--wbits", "4", "--keep_embeddings"}).keep_embeddings);
}

}  // namespace
}  // namespace sgpt_mi::cli
