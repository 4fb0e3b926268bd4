#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "e2e/demo.h"

// Widths of their own and the packed container, from the command line.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using Flags = std::vector<std::string>;

class Packed : public testing::Test {
 protected:
  nlohmann::json report_of(const Flags& arguments) {
    const std::filesystem::path path = folder_.path() / "report.json";
    last_ = run_program(folder_, arguments + Flags{"--report", path.string()});
    EXPECT_EQ(last_.exit_code, 0) << last_.err;
    return last_.exit_code == 0 ? nlohmann::json::parse(read_all(path)) : nlohmann::json();
  }

  nlohmann::json compressed(const Flags& flags) {
    return report_of(small_compression(demo_model().string()) + flags);
  }

  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_.path() / "out";
  ProgramResult last_;
};

double ppl(const nlohmann::json& report) {
  return report["perplexity"]["test"]["compressed"]["ppl"];
}

/// Length of a safetensors file's JSON header: a little-endian number before it.
std::size_t header_size(const std::string& file) {
  std::size_t size = 0;
  for (std::size_t i = 8; i-- > 0;) size = size * 256 + static_cast<unsigned char>(file[i]);
  return size;
}

TEST_F(Packed, ScoresTheSameSavedReloadedAndExported) {
  const auto run = compressed(
      {"--method", "mi", "--target_avg_bits", "3.5", "--n_groups", "5", "--save", out_.string()});
  EXPECT_LE(run["totals"]["average_code_bits"], 3.5);
  EXPECT_GT(run["totals"]["average_code_bits"], 3.4);
  EXPECT_EQ(run["totals"]["predicted_file_bytes"], run["totals"]["written_file_bytes"]);
  EXPECT_THAT(last_.out, HasSubstr("silhouette"));

  const auto reloaded = report_of(small_evaluation(out_.string()));
  EXPECT_EQ(ppl(reloaded), ppl(run));
  EXPECT_DOUBLE_EQ(reloaded["totals"]["stored_bits_per_weight"],
                   run["totals"]["stored_bits_per_weight"]);

  const std::string dense = (folder_.path() / "dense").string();
  const ProgramResult exported =
      run_program(folder_, {"export", out_.string(), "--format", "hf", "-o", dense});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(ppl(report_of(small_evaluation(dense))), ppl(run));
  const auto config = nlohmann::json::parse(read_all(dense + "/config.json"));
  EXPECT_FALSE(config.contains("quantization_config"));
}

TEST_F(Packed, EvaluationBesideTheDenseModelRepeatsTheRunsDivergence) {
  const auto run = compressed({"--save", out_.string()});
  const auto again =
      report_of(small_evaluation(out_.string()) + Flags{"--dense", demo_model().string()});
  const auto& expected = run["perplexity"]["test"];
  EXPECT_GT(expected["compressed"]["kl_mean"], 0.0);
  EXPECT_EQ(again["perplexity"]["test"]["compressed"], expected["compressed"]);
  EXPECT_EQ(again["perplexity"]["test"]["dense"], expected["dense"]);
  EXPECT_EQ(again["dense_bytes"], run["model"]["bytes"]);
  last_ = run_program(
      folder_, small_evaluation(demo_model().string()) + Flags{"--dense", demo_model().string()});
  EXPECT_EQ(last_.exit_code, 2) << last_.err;
}

TEST_F(Packed, InspectAddsUpTheFile) {
  const auto run = compressed({"--save", out_.string(), "--eval", "none"});
  const auto summary = report_of({"inspect", out_.string()});
  const auto& packed = summary["packed"];
  std::int64_t bytes = 0;
  for (const auto& [part, size] : packed["bytes_by_part"].items())
    bytes += size.get<std::int64_t>();
  EXPECT_EQ(bytes, packed["bytes"]);
  EXPECT_EQ(packed["bytes"], run["totals"]["bytes"]);
  EXPECT_EQ(packed["bytes_by_part"], run["totals"]["bytes_by_part"]);
  const auto file =
      static_cast<std::int64_t>(std::filesystem::file_size(out_ / "model.safetensors"));
  EXPECT_EQ(file, bytes);
  std::int64_t parts = 0;
  for (const auto& [part, size] : summary["bytes_by_part"].items())
    parts += size.get<std::int64_t>();
  EXPECT_EQ(file, parts);
  EXPECT_LT(packed["stored_bits_per_weight"], 3.4);
}

TEST_F(Packed, PruneOnlyCanBePackedToo) {
  const auto run = compressed(
      {"--wbits", "16", "--format", "packed", "--pattern", "2:4", "--save", out_.string()});
  // Half of 16 bits, and 3 bits for each 4 weights' pattern.
  EXPECT_NEAR(run["totals"]["stored_bits_per_weight"].get<double>(), 8.75, 0.1);
  EXPECT_EQ(ppl(report_of(small_evaluation(out_.string()))), ppl(run));
}

TEST_F(Packed, TheOriginalScriptsFlagsRunWithEveryMethodThatHasGroups) {
  for (const char* method : {"rd", "mi"}) {
    const auto run = compressed(
        {"--target_avg_bits", "4.0", "--n_groups", "10", "--eval", "none", "--method", method});
    EXPECT_EQ(run["method"], method);
    EXPECT_LE(run["totals"]["average_code_bits"], 4.0);
    const auto& layer = run["layers"][0];
    std::int64_t channels = 0;
    for (const auto& [bits, count] : layer["channels_by_bits"].items()) {
      channels += count.get<std::int64_t>();
    }
    EXPECT_EQ(channels, layer["columns"]);
  }
}

TEST_F(Packed, FixedThresholdsMissTheTargetAndSaySo) {
  const auto run = compressed({"--method", "mi", "--bit_allocation", "threshold",
                               "--target_avg_bits", "4", "--eval", "none"});
  EXPECT_GT(run["totals"]["average_code_bits"], 7.0);
  EXPECT_THAT(last_.err, HasSubstr("for a target of 4"));
}

TEST_F(Packed, EveryMethodAndGroupingKeepsTheBudget) {
  const std::vector<Flags> variants{
      {"--method", "enhanced"},
      {"--method", "enhanced", "--bit_allocation", "quantile"},
      {"--method", "enhanced", "--attention_bits", "3.5", "--ffn_bits", "3"},
      {"--method", "mi", "--use_mi_grouping", "0"},
      {"--method", "mi", "--grouping", "corr"},
      {"--method", "mi", "--grouping", "hessian", "--share", "bits"},
      {"--method", "mi", "--grouping", "contiguous", "--share", "group"},
      {"--method", "mi", "--grouping", "random", "--bit_allocation", "quantile"},
      {"--method", "mi", "--grouping", "kmeans", "--channel_scaling", "0.5"},
      {"--method", "mi", "--n_groups", "auto", "--clustering", "hierarchical"},
      {"--method", "mi", "--mi_method", "histogram", "--true_sequential"},
      {"--method", "mi", "--budget_scope", "model"}};
  for (const Flags& variant : variants) {
    SCOPED_TRACE(testing::PrintToString(variant));
    const auto run = compressed(variant + Flags{"--target_avg_bits", "3.5", "--eval", "none"});
    const double bits = run["totals"]["average_code_bits"];
    EXPECT_LE(bits, 3.5);
    EXPECT_GT(bits, 3.0);
  }
}

TEST_F(Packed, StoredTargetsAreHardCaps) {
  for (const char* method : {"enhanced", "mi"}) {
    for (const char* scope : {"layer", "model"}) {
      const auto run = compressed({"--method", method, "--target_stored_bits", "3.0", "--share",
                                   "bits", "--budget_scope", scope, "--eval", "none"});
      const double stored = run["totals"]["stored_bits_per_weight"];
      EXPECT_LE(stored, 3.0) << method << " " << scope;
      EXPECT_GT(stored, 2.85) << method << " " << scope;
    }
  }
}

TEST_F(Packed, TargetBytesBoundTheFiles) {
  compressed({"--method", "mi", "--share", "bits", "--target_bytes", "1.2MB", "--save",
              out_.string(), "--eval", "none"});
  const auto file = std::filesystem::file_size(out_ / "model.safetensors");
  EXPECT_LE(file, 1'200'000U);
}

TEST_F(Packed, ImpossibleTargetsAreRefusedAtOnce) {
  const auto refused = [&](const Flags& flags) {
    last_ = run_program(folder_, small_compression(demo_model().string()) + flags);
    EXPECT_EQ(last_.exit_code, 2) << last_.err;
    EXPECT_THAT(last_.err, testing::Not(HasSubstr("dense perplexity")));
    return last_.err;
  };
  EXPECT_THAT(refused({"--method", "mi", "--target_avg_bits", "1.5"}), HasSubstr("2"));
  EXPECT_THAT(refused({"--method", "mi", "--target_stored_bits", "1"}), HasSubstr("1"));
  EXPECT_THAT(refused({"--method", "mi", "--target_bytes", "10kB"}), HasSubstr("10"));
  EXPECT_THAT(refused({"--method", "sparsegpt", "--n_groups", "4"}), HasSubstr("n_groups"));
  EXPECT_THAT(refused({"--method", "mi", "--groupsize", "32"}), HasSubstr("groupsize"));
  EXPECT_THAT(refused({"--method", "mi", "--n_groups", "many"}), HasSubstr("many"));
}

TEST_F(Packed, DamagedFilesAreRefused) {
  compressed({"--save", out_.string(), "--eval", "none"});
  const std::filesystem::path weights = out_ / "model.safetensors";
  const std::string good = read_all(weights);
  const auto write = [&](const std::string& bytes) {
    std::ofstream(weights, std::ios::binary | std::ios::trunc) << bytes;
  };
  const auto refused = [&] {
    last_ = run_program(folder_, small_evaluation(out_.string()));
    EXPECT_EQ(last_.exit_code, 3) << last_.err;
    EXPECT_THAT(last_.err, HasSubstr("sgpt-mi: error:"));
  };
  write(good.substr(0, good.size() - 100));
  refused();
  const auto header = nlohmann::json::parse(good.substr(8, header_size(good)));
  const std::string codes = "model.decoder.layers.0.fc1.codes";
  std::string flipped = good;
  flipped[8 + header_size(good) + header[codes]["data_offsets"][0].get<std::size_t>()] ^= 1;
  write(flipped);
  refused();
  EXPECT_THAT(last_.err, HasSubstr("fc1"));
  write(good);
  auto config = nlohmann::json::parse(read_all(out_ / "config.json"));
  config["quantization_config"]["format_version"] = 99;
  std::ofstream(out_ / "config.json") << config.dump();
  refused();
  EXPECT_THAT(last_.err, HasSubstr("99"));
}

TEST_F(Packed, CompareWritesItsReport) {
  const std::filesystem::path plots = folder_.path() / "plots";
  Flags arguments = small_compression(demo_model().string());
  arguments[0] = "compare";
  const auto json = report_of(arguments + Flags{"--methods", "sparsegpt,mi", "--groupings",
                                                "mi,random", "--target_avg_bits", "3.5", "--seeds",
                                                "0,1", "--plots", plots.string()});
  EXPECT_EQ(json["rows"].size(), 6U);
  EXPECT_THAT(last_.out, HasSubstr("mi (random)"));
  EXPECT_THAT(last_.out, HasSubstr("t-test"));
  const std::string html = read_all(plots / "report.html");
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,"));
  EXPECT_THAT(html, testing::Not(HasSubstr("src=\"http")));
  for (const char* file : {"performance_report.md", "comparison.json", "ppl_vs_stored_bits.png",
                           "bits_per_layer.png", "loss_per_layer.png"}) {
    EXPECT_TRUE(std::filesystem::exists(plots / file)) << file;
  }
}

}  // namespace
}  // namespace sgpt_mi::test
