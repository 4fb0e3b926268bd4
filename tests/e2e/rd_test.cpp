#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "e2e/demo.h"

// The method rd, which is the default, and its steps for the other methods.
namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Flags = std::vector<std::string>;

class Rd : public testing::Test {
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

  /// What a run says on stderr that must end with `exit_code`.
  std::string refusal(const Flags& flags, int exit_code) {
    last_ = run_program(folder_, small_compression(demo_model().string()) + flags);
    EXPECT_EQ(last_.exit_code, exit_code) << last_.err;
    return last_.err;
  }

  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_.path() / "out";
  std::filesystem::path measurements_ = folder_.path() / "measurements.json";
  ProgramResult last_;
};

const nlohmann::json& figures(const nlohmann::json& report, const char* which = "compressed") {
  return report["perplexity"]["test"][which];
}

/// Average code bits of the linears whose name has `part` in it.
double bits_of(const nlohmann::json& report, const std::string& part) {
  double bits = 0.0;
  double weights = 0.0;
  for (const auto& layer : report["layers"]) {
    if (layer["name"].get<std::string>().find(part) == std::string::npos) continue;
    const double count = layer["rows"].get<double>() * layer["columns"].get<double>();
    bits += count * layer["average_bits"].get<double>();
    weights += count;
  }
  return bits / weights;
}

/// A kept weight whose code means 0 is a zero too, the more often the fewer codes there are.
constexpr double kMostZerosWithCodes = 0.55;

void expect_half_zeros(const nlohmann::json& report, double most = kMostZerosWithCodes) {
  EXPECT_GE(report["totals"]["sparsity"], 0.5 - 1e-9);
  EXPECT_LT(report["totals"]["sparsity"], most);
}

/// Levels take the bytes that codes of the target's width would take, and hardly fewer. Codes keep
/// a few weights less than asked for: a threshold falls with its equals.
void expect_size_of_codes(const nlohmann::json& levels, const nlohmann::json& codes) {
  const double most = 1.001 * codes["totals"]["stored_bits_per_weight"].get<double>();
  EXPECT_LE(levels["totals"]["stored_bits_per_weight"], most);
  EXPECT_GT(levels["totals"]["stored_bits_per_weight"], 0.95 * most);
}

TEST_F(Rd, KeepsToItsTargetsAndDoesLessDamageThanSparseGpt) {
  const Flags texts{"--eval_windows", "8"};
  const auto rd = compressed(texts + Flags{"--save", out_.string()});
  EXPECT_EQ(rd["method"], "rd");
  expect_half_zeros(rd);
  EXPECT_TRUE(rd["totals"]["bit_histogram"].contains("coded"));
  EXPECT_EQ(rd["totals"]["predicted_file_bytes"], rd["totals"]["written_file_bytes"]);
  const auto reloaded = report_of(small_evaluation(out_.string()) + texts);
  EXPECT_EQ(figures(reloaded)["window_nll"], figures(rd)["window_nll"]);

  const auto sparsegpt = compressed(texts + Flags{"--method", "sparsegpt"});
  EXPECT_EQ(sparsegpt["calibration"], rd["calibration"]);
  expect_size_of_codes(rd, sparsegpt);
  const double dense = figures(rd, "dense")["nll_mean"];
  EXPECT_LT(figures(rd)["nll_mean"].get<double>() - dense,
            figures(sparsegpt)["nll_mean"].get<double>() - dense);
  EXPECT_LT(figures(rd)["kl_mean"].get<double>(),
            0.75 * figures(sparsegpt)["kl_mean"].get<double>());
}

TEST_F(Rd, QuantizesWithoutPruning) {
  const Flags flags{"--sparsity", "0", "--wbits", "3"};
  const auto rd = compressed(flags);
  EXPECT_LE(rd["totals"]["average_code_bits"], 3.0);
  EXPECT_GT(rd["totals"]["average_code_bits"], 2.9);
  const auto sparsegpt = compressed(flags + Flags{"--method", "sparsegpt"});
  EXPECT_LE(rd["totals"]["stored_bits_per_weight"], sparsegpt["totals"]["stored_bits_per_weight"]);
  EXPECT_LT(figures(rd)["kl_mean"], figures(sparsegpt)["kl_mean"]);
}

TEST_F(Rd, PrunesWithoutQuantizing) {
  const auto rd = compressed({"--wbits", "16", "--save", out_.string()});
  expect_half_zeros(rd, 0.51);
  EXPECT_TRUE(rd["totals"]["bit_histogram"].empty() || rd["totals"]["average_code_bits"] == 16.0);
  const auto reloaded = report_of(small_evaluation(out_.string()));
  EXPECT_EQ(figures(reloaded)["window_nll"], figures(rd)["window_nll"]);
  const auto sparsegpt = compressed({"--wbits", "16", "--method", "sparsegpt"});
  EXPECT_LT(figures(rd)["kl_mean"], figures(sparsegpt)["kl_mean"]);
}

TEST_F(Rd, KeepsEveryGroupOfAPattern) {
  const auto rd = compressed({"--pattern", "2:4", "--wbits", "16", "--save", out_.string()});
  for (const auto& layer : rd["layers"]) EXPECT_GE(layer["sparsity"], 0.5) << layer["name"];
  EXPECT_LT(rd["totals"]["sparsity"], 0.51);
  const auto coded = compressed({"--pattern", "2:4", "--eval", "none"});
  EXPECT_LE(coded["totals"]["average_code_bits"], 4.0);
  for (const auto& layer : coded["layers"]) EXPECT_GE(layer["sparsity"], 0.5) << layer["name"];
}

TEST_F(Rd, EveryKindOfPlanKeepsTheBudget) {
  const std::vector<Flags> variants{{"--target_avg_bits", "3.5"},
                                    {"--target_avg_bits", "3.5", "--n_groups", "4"},
                                    {"--target_avg_bits", "3.5", "--wbits", "16"},
                                    {"--wbits", "3", "--sensitivity", "energy"},
                                    {"--wbits", "3", "--sensitivity", "none"},
                                    {"--wbits", "3", "--plan_check", "0"},
                                    {"--wbits", "3", "--sparsity_range", "0"},
                                    {"--wbits", "3", "--width_plan", "0"},
                                    {"--wbits", "3", "--plan_windows", "1"},
                                    {"--wbits", "3", "--act_order"}};
  for (const Flags& variant : variants) {
    SCOPED_TRACE(testing::PrintToString(variant));
    const auto run =
        compressed(variant + Flags{"--coding", "fixed", "--eval", "none", "--seqlen", "64"});
    expect_half_zeros(run);
    const double target = variant.front() == "--wbits" ? 3.0 : 3.5;
    EXPECT_LE(run["totals"]["average_code_bits"], target);
    EXPECT_GT(run["totals"]["average_code_bits"], target - 0.2);
  }
}

TEST_F(Rd, EveryKindOfLevelPlanKeepsTheSize) {
  const std::vector<Flags> variants{{"--sparsity", "0"},
                                    {"--sparsity_range", "0", "--plan_windows", "1"},
                                    {"--sensitivity", "none", "--plan_check", "0"},
                                    {"--pattern", "2:4", "--keep_embeddings"},
                                    {"--act_order", "--polish", "0", "--l0_sweeps", "0"}};
  for (const Flags& variant : variants) {
    SCOPED_TRACE(testing::PrintToString(variant));
    const auto run = compressed(
        variant + Flags{"--target_stored_bits", "2.5", "--eval", "none", "--seqlen", "64"});
    EXPECT_LE(run["totals"]["stored_bits_per_weight"], 2.5);
    EXPECT_GT(run["totals"]["stored_bits_per_weight"], 2.4);
    for (const auto& layer : run["layers"]) EXPECT_GT(layer["step"], 0.0) << layer["name"];
    const std::string flags = testing::PrintToString(variant);  // other errors are not in nats
    const bool keeps =
        flags.find("keep") != std::string::npos || flags.find("none") != std::string::npos;
    EXPECT_EQ(run.contains("ends"), !keeps);
  }
}

TEST_F(Rd, TargetsByPartHoldInTheirPart) {
  const auto run =
      compressed({"--wbits", "16", "--attention_bits", "4", "--ffn_bits", "3", "--eval", "none"});
  EXPECT_LE(bits_of(run, "self_attn"), 4.0);
  EXPECT_GT(bits_of(run, "self_attn"), 3.8);
  EXPECT_LE(bits_of(run, ".fc"), 3.0);
  EXPECT_GT(bits_of(run, ".fc"), 2.8);
}

TEST_F(Rd, StoredSizesAreHardCaps) {
  const auto bits = compressed({"--target_stored_bits", "3.0", "--eval", "none"});
  EXPECT_LE(bits["totals"]["stored_bits_per_weight"], 3.0);
  EXPECT_GT(bits["totals"]["stored_bits_per_weight"], 2.85);
  compressed({"--target_bytes", "900kB", "--eval", "none", "--save", out_.string()});
  const auto file = std::filesystem::file_size(out_ / "model.safetensors");
  EXPECT_LE(file, 900'000U);
  EXPECT_GT(file, 860'000U);
}

TEST_F(Rd, ImpossibleTargetsAreRefusedAtOnce) {
  const auto refused = [&](const Flags& flags) {
    const std::string text = refusal(flags, 2);
    EXPECT_THAT(text, Not(HasSubstr("dense perplexity")));
    return text;
  };
  EXPECT_THAT(refused({"--target_avg_bits", "1.5", "--coding", "fixed"}),
              HasSubstr("1.5 bits a weight"));
  EXPECT_THAT(refused({"--ffn_bits", "1.5"}), HasSubstr("1.5 bits a weight"));
  EXPECT_THAT(refused({"--target_stored_bits", "1", "--coding", "fixed"}),
              HasSubstr("stored bits a weight"));
  EXPECT_THAT(refused({"--target_stored_bits", "0.2"}), HasSubstr("steps and the fewest levels"));
  EXPECT_THAT(refused({"--target_bytes", "10kB"}), HasSubstr("10"));
  EXPECT_THAT(refused({"--groupsize", "32", "--target_stored_bits", "4"}), HasSubstr("groupsize"));
  EXPECT_THAT(refused({"--groupsize", "32", "--n_groups", "4"}), HasSubstr("groupsize"));
  EXPECT_THAT(refused({"--target_stored_bits", "3", "--n_groups", "4"}), HasSubstr("n_groups"));
  EXPECT_THAT(refused({"--share", "bits"}), HasSubstr("--share has no effect with --method rd"));
}

TEST_F(Rd, EveryStepChangesASparseGptRun) {
  const auto with = [&](const Flags& flags) {
    return compressed(Flags{"--method", "sparsegpt"} + flags);
  };
  const auto plain = with({});
  const auto pruned = with({"--wbits", "16"});
  // The first linear has the same input in all of them. Some steps lower its error by themselves.
  const auto error = [](const nlohmann::json& report) {
    return report["layers"][0]["output_error"].get<double>();
  };
  const std::vector<Flags> descents{{"--l0_sweeps", "2"},
                                    {"--grid_after_mask", "1"},
                                    {"--refit", "5", "--grid_after_mask", "1"},
                                    {"--polish", "2"},
                                    {"--scale_step", "1"}};
  for (const Flags& flags : descents) {
    EXPECT_LT(error(with(flags + Flags{"--eval", "none"})), error(plain))
        << testing::PrintToString(flags);
  }
  EXPECT_LT(error(with({"--wbits", "16", "--refit", "5", "--eval", "none"})), error(pruned));
  const std::vector<Flags> others{{"--weighted_clip", "1"},
                                  {"--drift", "1"},
                                  {"--drift", "1", "--drift_residual", "1"},
                                  {"--tune", "3"},
                                  {"--act_order"}};
  for (const Flags& flags : others) {
    EXPECT_NE(figures(with(flags))["kl_mean"], figures(plain)["kl_mean"])
        << testing::PrintToString(flags);
  }
}

TEST_F(Rd, StepsGoWithMethodsThatChooseWidths) {
  const auto run =
      compressed({"--method", "mi", "--target_avg_bits", "3.5", "--n_groups", "4", "--drift", "1",
                  "--l0_sweeps", "1", "--polish", "1", "--scale_step", "1", "--eval", "none"});
  EXPECT_LE(run["totals"]["average_code_bits"], 3.5);
  EXPECT_GT(run["totals"]["average_code_bits"], 3.4);
}

TEST_F(Rd, MeasurementsAreMadeOnceForManyTargets) {
  // The second moments of embedding and head are not in the file.
  const Flags file{"--measurements", measurements_.string(), "--eval", "none", "--keep_embeddings"};
  const auto first = compressed(file);
  ASSERT_TRUE(std::filesystem::exists(measurements_));
  EXPECT_TRUE(first["timings"].contains("fisher"));
  EXPECT_TRUE(first["timings"].contains("curves"));
  const std::string bytes = read_all(measurements_);
  for (const Flags& target : std::vector<Flags>{{"--wbits", "3", "--sparsity", "0.4"},
                                                {"--target_avg_bits", "3.5", "--sparsity", "0"},
                                                {"--target_stored_bits", "2.8"}}) {
    SCOPED_TRACE(testing::PrintToString(target));
    const auto other = compressed(file + target);
    EXPECT_FALSE(other["timings"].contains("fisher"));
    EXPECT_FALSE(other["timings"].contains("curves"));
    EXPECT_FALSE(other["layers"].empty());
  }
  EXPECT_EQ(read_all(measurements_), bytes);
  // The same target from the file is the run that wrote it.
  EXPECT_EQ(compressed(file)["totals"], first["totals"]);

  EXPECT_THAT(refusal(file + Flags{"--seed", "1"}, 2), HasSubstr(measurements_.string()));
  EXPECT_THAT(last_.err, HasSubstr("token_sha256"));
  EXPECT_THAT(refusal(file + Flags{"--sensitivity", "none"}, 2), HasSubstr("sensitivity"));
  EXPECT_EQ(read_all(measurements_), bytes);
}

TEST_F(Rd, EmbeddingAndHeadAreMeasuredAnewBesideAFile) {
  const Flags file{"--measurements", measurements_.string(), "--eval", "none"};
  const auto first = compressed(file);
  ASSERT_FALSE(first["ends"].empty());
  const auto again = compressed(file);
  EXPECT_FALSE(again["timings"].contains("curves"));
  EXPECT_TRUE(again["timings"].contains("fisher"));
  EXPECT_EQ(again["totals"], first["totals"]);
  EXPECT_EQ(again["ends"], first["ends"]);
  EXPECT_NE(compressed(file + Flags{"--target_bytes", "300000"})["ends"], first["ends"]);
}

TEST_F(Rd, BrokenMeasurementsAreRefusedAndKept) {
  const Flags flags{"--measurements", measurements_.string(), "--eval", "none"};
  for (const char* text : {"", "{", "[]", R"({"sgpt_mi_measurements": 99})",
                           R"({"sgpt_mi_measurements": 1, "key": {}, "linears": []})",
                           R"({"sgpt_mi_measurements": 2, "key": {}, "linears": [{}]})"}) {
    std::ofstream(measurements_) << text;
    EXPECT_THAT(refusal(flags, 3), HasSubstr(measurements_.string())) << text;
    EXPECT_EQ(read_all(measurements_), text);
  }
  std::filesystem::remove(measurements_);
  EXPECT_THAT(refusal({"--eval", "none", "--measurements",
                       (folder_.path() / "no" / "such" / "folder.json").string()},
                      3),
              HasSubstr("no/such"));
  EXPECT_THAT(last_.err, Not(HasSubstr("dense perplexity")));
}

TEST_F(Rd, PlanDrawsWhatLevelsDoAtEverySize) {
  const Flags flags{"--coding", "entropy",        "--eval",
                    "none",     "--measurements", measurements_.string()};
  compressed(flags);
  const std::filesystem::path plots = folder_.path() / "plots";
  Flags plan = small_compression(demo_model().string()) + flags;
  plan[0] = "plan";
  last_ = run_program(folder_, plan);
  ASSERT_EQ(last_.exit_code, 0) << last_.err;
  EXPECT_THAT(last_.err, Not(HasSubstr("picture")));
  last_ = run_program(folder_, plan + Flags{"--plots", plots.string()});
  ASSERT_EQ(last_.exit_code, 0) << last_.err;
  const std::filesystem::path picture = plots / "damage_vs_stored_bits.png";
  EXPECT_THAT(last_.err, HasSubstr("picture    " + picture.string()));
  ASSERT_TRUE(std::filesystem::exists(picture));
  EXPECT_EQ(read_all(picture).substr(1, 3), "PNG");
}

TEST_F(Rd, PlanTellsTheTargetsOfAFile) {
  const Flags flags{"--levels", "3,4", "--eval", "none", "--measurements", measurements_.string()};
  compressed(flags);
  Flags plan = small_compression(demo_model().string()) + flags;
  plan[0] = "plan";
  last_ = run_program(folder_, plan);
  ASSERT_EQ(last_.exit_code, 0) << last_.err;
  EXPECT_THAT(last_.err, HasSubstr("compress   rd"));
  // Rows of stored bits, sparsity, code bits, predicted damage.
  const std::size_t head = last_.err.find("predicted damage\n");
  ASSERT_NE(head, std::string::npos) << last_.err;
  std::istringstream lines(last_.err.substr(last_.err.find('\n', head) + 1));
  double stored = 0.0;
  double damage = std::numeric_limits<double>::infinity();
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    double row[4] = {};
    if (!(words >> row[0] >> row[1] >> row[2] >> row[3])) break;
    EXPECT_GT(row[0], stored);
    EXPECT_LT(row[3], damage);
    stored = row[0];
    damage = row[3];
    ++rows;
  }
  EXPECT_GT(rows, 5) << last_.err;

  plan.back() = (folder_.path() / "none.json").string();
  last_ = run_program(folder_, plan);
  EXPECT_EQ(last_.exit_code, 0) << last_.err;
  EXPECT_THAT(last_.err, Not(HasSubstr("predicted damage")));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "none.json"));
}

TEST_F(Rd, ComparesWithTheOthers) {
  Flags arguments = small_compression(demo_model().string());
  arguments[0] = "compare";
  const auto json =
      report_of(arguments + Flags{"--methods", "sparsegpt,mi,rd", "--n_groups", "4", "--share",
                                  "bits", "--plan_windows", "2", "--target_avg_bits", "4"});
  ASSERT_EQ(json["rows"].size(), 3U);
  EXPECT_EQ(json["rows"][2]["label"], "rd");
  EXPECT_THAT(last_.out, HasSubstr("t-test"));
}

}  // namespace
}  // namespace sgpt_mi::test
