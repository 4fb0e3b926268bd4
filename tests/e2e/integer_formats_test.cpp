#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "e2e/demo.h"

// GPTQ and compressed-tensors folders, from the command line. scripts/check_transformers compares
// them with the programs that they are for.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;

class IntegerFormats : public testing::Test {
 protected:
  nlohmann::json report_of(const Flags& arguments) {
    const std::filesystem::path path = folder_.path() / "report.json";
    last_ = run_program(folder_, arguments + Flags{"--report", path.string()});
    EXPECT_EQ(last_.exit_code, 0) << last_.err;
    return last_.exit_code == 0 ? nlohmann::json::parse(read_all(path)) : nlohmann::json();
  }

  nlohmann::json compressed(const Flags& flags) {
    return report_of(small_compression(demo_model().string()) + flags +
                     Flags{"--save", out_.string()});
  }

  std::string refused(const Flags& flags) {
    last_ = run_program(folder_, small_compression(demo_model().string()) + flags);
    EXPECT_EQ(last_.exit_code, 2) << last_.err;
    EXPECT_THAT(last_.err, testing::Not(HasSubstr("dense perplexity")));
    return last_.err;
  }

  ProgramResult exported(const std::filesystem::path& source, const std::string& format) {
    return run_program(folder_, {"export", source.string(), "--format", format, "-o",
                                 (folder_.path() / format).string()});
  }

  [[nodiscard]] static nlohmann::json quantization_of(const std::filesystem::path& folder) {
    return nlohmann::json::parse(read_all(folder / "config.json"))["quantization_config"];
  }

  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_.path() / "out";
  ProgramResult last_;
};

double ppl(const nlohmann::json& report) {
  return report["perplexity"]["test"]["compressed"]["ppl"];
}

TEST_F(IntegerFormats, ScoreTheSameSavedReloadedAndExported) {
  const std::vector<Flags> kinds{
      {"--format", "gptq", "--groupsize", "32"},
      {"--format", "gptq", "--method", "sparsegpt", "--groupsize", "32", "--act_order"},
      {"--format", "gptq", "--n_groups", "3", "--levels", "4"},
      {"--format", "gptq-v1"},
      {"--format", "compressed-tensors", "--groupsize", "16"},
      {"--format", "compressed-tensors", "--sym=false", "--target_stored_bits", "5"}};
  for (const Flags& kind : kinds) {
    SCOPED_TRACE(kind[1] + " " + kind.back());
    const auto run = compressed(kind);
    EXPECT_EQ(run["totals"]["predicted_file_bytes"], run["totals"]["written_file_bytes"]);
    const auto reloaded = report_of(small_evaluation(out_.string()));
    EXPECT_EQ(ppl(reloaded), ppl(run));
    EXPECT_DOUBLE_EQ(reloaded["totals"]["stored_bits_per_weight"],
                     run["totals"]["stored_bits_per_weight"]);
    for (const char* format : {"packed", "hf"}) {
      const ProgramResult result = exported(out_, format);
      ASSERT_EQ(result.exit_code, 0) << result.err;
      EXPECT_EQ(ppl(report_of(small_evaluation((folder_.path() / format).string()))), ppl(run));
    }
  }
}

TEST_F(IntegerFormats, AFolderOfAutoGptqSaysItsGridsInAFileOfItsOwn) {
  const double saved = ppl(compressed({"--format", "gptq-v1", "--groupsize", "32"}));
  auto config = nlohmann::json::parse(read_all(out_ / "config.json"));
  auto grids = config.at("quantization_config");
  grids.erase("quant_method");
  config.erase("quantization_config");
  static_cast<void>(folder_.file("out/config.json", config.dump()));
  static_cast<void>(folder_.file("out/quantize_config.json", grids.dump()));
  EXPECT_EQ(ppl(report_of(small_evaluation(out_.string()))), saved);
}

TEST_F(IntegerFormats, AnExportHasTheSameBytesAsAnExportOfItsPackedTwin) {
  compressed({"--format", "gptq", "--groupsize", "32", "--eval", "none"});
  ASSERT_EQ(exported(out_, "packed").exit_code, 0);
  ASSERT_EQ(exported(folder_.path() / "packed", "gptq").exit_code, 0);
  const nlohmann::json summary = report_of({"inspect", (folder_.path() / "gptq").string()});
  const nlohmann::json expected = report_of({"inspect", out_.string()});
  EXPECT_EQ(summary["packed"], expected["packed"]);
  EXPECT_EQ(quantization_of(folder_.path() / "gptq"), quantization_of(out_));
}

TEST_F(IntegerFormats, GridsThatTheTargetCannotHoldAreRefusedWithTheCommandToUse) {
  compressed({"--target_avg_bits", "3.5", "--method", "mi", "--eval", "none"});
  last_ = exported(out_, "gptq");
  EXPECT_EQ(last_.exit_code, 2);
  EXPECT_THAT(last_.err, HasSubstr("sgpt-mi compress MODEL DATASET --format gptq"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "gptq"));
  last_ = exported(demo_model(), "compressed-tensors");
  EXPECT_EQ(last_.exit_code, 2);
  EXPECT_THAT(last_.err, HasSubstr("--format compressed-tensors"));
}

TEST_F(IntegerFormats, GridsAreSymmetricWhereTheFormatImpliesIt) {
  compressed({"--format", "compressed-tensors", "--eval", "none"});
  const nlohmann::json groups = quantization_of(out_)["config_groups"];
  for (const auto& [key, group] : groups.items()) EXPECT_TRUE(group["weights"]["symmetric"]) << key;
  compressed({"--format", "compressed-tensors", "--sym=false", "--eval", "none"});
  EXPECT_THAT(last_.err, HasSubstr("0.17.1"));
  compressed({"--format", "gptq", "--eval", "none"});
  EXPECT_EQ(quantization_of(out_)["sym"], false);
}

TEST_F(IntegerFormats, OneWidthIsTheDefaultOfGptq) {
  compressed({"--format", "gptq", "--eval", "none"});
  EXPECT_FALSE(quantization_of(out_).contains("dynamic"));
  EXPECT_THAT(last_.err, testing::Not(HasSubstr("dynamic")));
  compressed({"--format", "gptq", "--target_avg_bits", "5", "--eval", "none"});
  EXPECT_TRUE(quantization_of(out_).contains("dynamic"));
  EXPECT_THAT(last_.err, HasSubstr("gptqmodel's own loader"));
}

TEST_F(IntegerFormats, TargetBytesBoundTheFiles) {
  for (const char* format : {"gptq", "compressed-tensors"}) {
    compressed({"--format", format, "--target_bytes", "1.2MB", "--eval", "none"});
    const auto file = std::filesystem::file_size(out_ / "model.safetensors");
    EXPECT_LE(file, 1'200'000U);
    EXPECT_GT(file, 1'100'000U);
  }
}

TEST_F(IntegerFormats, WhatAReaderWouldMisreadIsRefusedAtOnce) {
  EXPECT_THAT(refused({"--format", "gptq", "--wbits", "5"}), HasSubstr("nearest is 4"));
  EXPECT_THAT(refused({"--format", "gptq", "--groupsize", "48"}), HasSubstr("--groupsize 64"));
  EXPECT_THAT(refused({"--format", "compressed-tensors", "--wbits", "3"}), HasSubstr("disagree"));
  EXPECT_THAT(refused({"--format", "gptq-v1", "--sym=false"}), HasSubstr("symmetric"));
  EXPECT_THAT(refused({"--format", "gptq", "--wbits", "16"}), HasSubstr("--format hf"));
  EXPECT_THAT(refused({"--format", "gptq", "--method", "mi"}), HasSubstr("one width"));
}

}  // namespace
}  // namespace sgpt_mi::test
