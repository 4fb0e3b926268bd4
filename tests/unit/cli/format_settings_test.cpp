// What --format makes of the other flags.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runs.h"
#include "sgpt_mi/flags/flag_table.h"

namespace sgpt_mi::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Flags with_format(const std::string& format, Flags flags) {
  flags.insert(flags.begin(), {"--format", format});
  return flags;
}

compress::CompressionSettings compression(const std::string& format, const Flags& flags) {
  return cli::compression(with_format(format, flags));
}

std::string usage_error(const std::string& format, const Flags& flags) {
  return cli::usage_error(with_format(format, flags));
}

TEST(FormatSettings, ScalesAreRoundedAsTheFormatStoresThem) {
  const auto packed = compression("packed", {"--wbits", "4"}).matrix;
  EXPECT_TRUE(packed.stored_scales);
  EXPECT_EQ(packed.stored_exponent, std::nullopt);
  const auto gptq = compression("gptq", {"--wbits", "4"}).matrix;
  EXPECT_TRUE(gptq.stored_scales);
  EXPECT_EQ(gptq.stored_exponent, 0);
  EXPECT_FALSE(compression("hf", {"--wbits", "4"}).matrix.stored_scales);
}

TEST(FormatSettings, AutoIsWhatTheNameSays) {
  const auto format = [](Flags flags) { return compress_run(flags).format.name; };
  EXPECT_EQ(format({"--wbits", "4", "--save", "out"}), "packed");
  EXPECT_EQ(format({"--sparsity", "0.5", "--save", "out"}), "hf");
  EXPECT_EQ(format({"--gguf_type", "Q4_K", "--save", "out.gguf"}), "gguf");
  EXPECT_EQ(format({"--sparsity", "0.5", "--save", "OUT.GGUF"}), "gguf");
  EXPECT_EQ(format({"--wbits", "4", "--save", "out.gguf", "--format", "packed"}), "packed");
}

TEST(FormatSettings, SymmetryIsImpliedUnlessItIsTypedOff) {
  EXPECT_FALSE(compression("gptq", {"--wbits", "4"}).matrix.symmetric);
  EXPECT_TRUE(compression("gptq", {"--wbits", "4", "--sym"}).matrix.symmetric);
  EXPECT_TRUE(compression("gptq-v1", {"--wbits", "4"}).matrix.symmetric);
  EXPECT_TRUE(compression("compressed-tensors", {"--wbits", "4"}).matrix.symmetric);
  EXPECT_FALSE(compression("compressed-tensors", {"--wbits", "4", "--sym=false"}).matrix.symmetric);
  EXPECT_THAT(usage_error("gptq-v1", {"--wbits", "4", "--sym=false"}), HasSubstr("symmetric"));
}

TEST(FormatSettings, AFileThatNamesEveryFlagDoesNotTurnSymmetryOff) {
  const test::TemporaryFolder folder;
  const std::string file = folder.file("all.json", R"({"sym": false})").string();
  EXPECT_TRUE(
      compression("compressed-tensors", {"--wbits", "4", "--config", file}).matrix.symmetric);
}

TEST(FormatSettings, LevelsAreThoseThatTheFormatHolds) {
  const auto levels = [](const std::string& format, const Flags& flags) {
    return compression(format, flags).plan.value().widths.levels;
  };
  EXPECT_THAT(levels("packed", {"--wbits", "4"}), ElementsAre(2, 3, 4, 6, 8));
  EXPECT_THAT(levels("gptq", {"--wbits", "4"}), ElementsAre(2, 3, 4, 8));
  EXPECT_THAT(levels("compressed-tensors", {"--wbits", "4"}), ElementsAre(2, 4, 8));
  EXPECT_THAT(usage_error("compressed-tensors", {"--target_avg_bits", "4", "--levels", "3,4"}),
              HasSubstr("3 bits"));
}

TEST(FormatSettings, GptqHasOneWidthUnlessAFlagAsksForMore) {
  const auto plans = [](const std::string& format, const Flags& flags) {
    return compression(format, flags).plan.value().plan_widths;
  };
  EXPECT_TRUE(plans("packed", {"--wbits", "4"}));
  EXPECT_FALSE(plans("gptq", {"--wbits", "4"}));
  EXPECT_TRUE(plans("gptq", {"--wbits", "4", "--width_plan", "1"}));
  EXPECT_TRUE(plans("gptq", {"--target_avg_bits", "4"}));
  EXPECT_TRUE(plans("compressed-tensors", {"--wbits", "4"}));
}

TEST(FormatSettings, TheFlagListsTheFormats) {
  for (const flags::FlagRow& row : flags::flag_table()) {
    if (std::string_view(row.key) != "format") continue;
    std::string names(row.value);
    std::replace(names.begin(), names.end(), '|', ' ');
    const std::string unknown = usage_error("none-of-these", {"--wbits", "4"});
    std::string listed = unknown.substr(unknown.find("there are ") + 10);
    listed.erase(std::remove(listed.begin(), listed.end(), ','), listed.end());
    EXPECT_EQ(names, listed);
  }
}

}  // namespace
}  // namespace sgpt_mi::cli
