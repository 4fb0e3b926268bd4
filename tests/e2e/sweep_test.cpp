#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "e2e/demo.h"

namespace sgpt_mi::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Flags = std::vector<std::string>;
using Path = std::filesystem::path;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

/// A sweep of the demo model over sparsity and seed: four cells of less than a second.
class Sweep : public testing::Test {
 protected:
  nlohmann::ordered_json config() const {
    return {{"model", demo_model().string()},
            {"dataset", demo_text("train.txt")},
            {"out", out_.string()},
            {"base",
             {{"method", "sparsegpt"},
              {"wbits", 4},
              {"nsamples", 4},
              {"seqlen", 64},
              {"eval", demo_text("test.txt")},
              {"eval_windows", 2},
              {"device", "cpu"}}},
            {"grid", {{"sparsity", {0.3, 0.6}}, {"seed", {0, 1}}}}};
  }

  ProgramResult sweep(const nlohmann::ordered_json& config, const Flags& flags = {}) {
    const Path file = folder_.file("grid.json", config.dump());
    return run_program(folder_, Flags{"sweep", file.string()} + flags);
  }

  [[nodiscard]] std::vector<Path> cell_files() const {
    std::vector<Path> files;
    if (!std::filesystem::exists(out_ / "cells")) return files;
    for (const auto& entry : std::filesystem::directory_iterator(out_ / "cells")) {
      files.push_back(entry.path());
    }
    return files;
  }

  [[nodiscard]] nlohmann::json table() const {
    return nlohmann::json::parse(read_all(out_ / "sweep.json"));
  }

  TemporaryFolder folder_;
  Path out_ = folder_.path() / "sweep" / "out";
};

TEST_F(Sweep, WritesEveryCellAndTheTables) {
  const ProgramResult result = sweep(config());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("0.3"));
  EXPECT_THAT(result.out, HasSubstr("Over seeds"));
  for (const char* cell : {"cell 1/4 sparsity=0.3 seed=0: ", "cell 4/4 sparsity=0.6 seed=1: "}) {
    EXPECT_THAT(result.err, HasSubstr(cell));
  }
  EXPECT_THAT(result.err, Not(HasSubstr("fc2")));
  for (const char* name :
       {"sweep.csv", "sweep.json", "sweep.md", "report.html", "ppl_vs_stored_bits.png"}) {
    EXPECT_GT(std::filesystem::file_size(out_ / name), 100U) << name;
  }
  ASSERT_EQ(cell_files().size(), 4U);
  const auto cell = nlohmann::json::parse(read_all(cell_files()[0]));
  EXPECT_EQ(cell["settings"]["sparsity"], cell["cell"]["sparsity"]);
  EXPECT_EQ(cell["report"]["config"]["seed"], cell["cell"]["seed"]);
  EXPECT_EQ(cell["report"]["model"]["sha256"], cell["model_sha256"]);
}

TEST_F(Sweep, DrawsDivergenceWithOthersBeside) {
  auto beside = config();
  beside["grid"] = {{"sparsity", {0.3, 0.6}}};
  beside["beside"] = {{"source", "Another program's figures."},
                      {"set", "test"},
                      {"rows", {{{"name", "their_type"}, {"bytes", 900'000}, {"kl", 0.5}}}}};
  const ProgramResult result = sweep(beside);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("not ours"));
  EXPECT_THAT(result.out, HasSubstr("their_type"));
  EXPECT_GT(std::filesystem::file_size(out_ / "kl_vs_bytes.png"), 100U);
  EXPECT_THAT(read_all(out_ / "report.html"), HasSubstr("not ours, Another program"));
  EXPECT_EQ(table()["beside"]["rows"][0]["name"], "their_type");
}

TEST_F(Sweep, CellGivesWhatASingleCompressionGives) {
  ASSERT_EQ(sweep(config()).exit_code, 0);
  const Path report = folder_.path() / "r.json";
  const ProgramResult single = run_program(folder_, {"compress",
                                                     demo_model().string(),
                                                     demo_text("train.txt"),
                                                     "--method",
                                                     "sparsegpt",
                                                     "--sparsity",
                                                     "0.6",
                                                     "--seed",
                                                     "1",
                                                     "--wbits",
                                                     "4",
                                                     "--nsamples",
                                                     "4",
                                                     "--seqlen",
                                                     "64",
                                                     "--eval",
                                                     demo_text("test.txt"),
                                                     "--eval-windows",
                                                     "2",
                                                     "--device",
                                                     "cpu",
                                                     "--report",
                                                     report.string()});
  ASSERT_EQ(single.exit_code, 0) << single.err;
  const auto alone = nlohmann::json::parse(read_all(report));
  for (const Path& file : cell_files()) {
    const auto cell = nlohmann::json::parse(read_all(file));
    if (cell["cell"] != nlohmann::json{{"sparsity", 0.6}, {"seed", 1}}) continue;
    EXPECT_EQ(cell["report"]["perplexity"], alone["perplexity"]);
    EXPECT_EQ(cell["report"]["totals"], alone["totals"]);
    EXPECT_EQ(cell["report"]["calibration"], alone["calibration"]);
    return;
  }
  FAIL() << "no cell has sparsity 0.6 and seed 1";
}

TEST_F(Sweep, RunsOnlyWhatIsMissingCutOrChanged) {
  ASSERT_EQ(sweep(config()).exit_code, 0);
  const std::string csv = read_all(out_ / "sweep.csv");
  const std::string again = sweep(config()).err;
  EXPECT_EQ(count(again, "kept from before"), 4U) << again;
  EXPECT_EQ(read_all(out_ / "sweep.csv"), csv);

  std::filesystem::remove(cell_files()[0]);
  const std::string bytes = read_all(cell_files()[0]);
  static_cast<void>(folder_.file("sweep/out/cells/" + cell_files()[0].filename().string(),
                                 bytes.substr(0, bytes.size() / 2)));
  const std::string repaired = sweep(config()).err;
  EXPECT_EQ(count(repaired, "kept from before"), 2U) << repaired;
  EXPECT_EQ(cell_files().size(), 4U);

  auto changed = config();
  changed["grid"]["sparsity"] = {0.3, 0.7};
  const std::string moved = sweep(changed).err;
  EXPECT_EQ(count(moved, "kept from before"), 2U) << moved;
  EXPECT_EQ(table()["cells"].size(), 4U);
}

TEST_F(Sweep, OtherWeightsRunAgain) {
  const Path model = copy_demo(folder_);
  auto copied = config();
  copied["model"] = model.string();
  copied["grid"] = {{"sparsity", {0.3}}};
  ASSERT_EQ(sweep(copied).exit_code, 0);
  std::string weights = read_all(model / "model.safetensors");
  weights.back() = static_cast<char>(weights.back() ^ 1);
  static_cast<void>(folder_.file("model/model.safetensors", weights));
  EXPECT_THAT(sweep(copied).err, Not(HasSubstr("kept from before")));
}

TEST_F(Sweep, FailedCellIsRecordedAndTheOthersRun) {
  auto partly = config();
  partly["grid"] = {{"pattern", {"5:7", "2:4"}}};  // 7 does not divide the model's columns
  const ProgramResult result = sweep(partly);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("1 of 2 cells failed"));
  EXPECT_THAT(table()["cells"][0].dump(), HasSubstr("5:7"));
  EXPECT_THAT(result.out, HasSubstr("2:4"));
  EXPECT_EQ(cell_files().size(), 2U);

  const std::string again = sweep(partly).err;
  EXPECT_EQ(count(again, "kept from before"), 1U) << again;
}

TEST_F(Sweep, SharesTogetherMakeTheWhole) {
  for (const char* share : {"1/3", "2/3", "3/3"}) {
    const ProgramResult result = sweep(config(), {"--only", share});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_EQ(cell_files().size(), 4U);
  EXPECT_FALSE(std::filesystem::exists(out_ / "sweep.csv"));
  const ProgramResult last = sweep(config());
  EXPECT_EQ(count(last.err, "kept from before"), 4U) << last.err;
  EXPECT_TRUE(std::filesystem::exists(out_ / "sweep.csv"));
}

TEST_F(Sweep, DryRunListsTheCellsAndDoesNothing) {
  auto refused = config();
  refused["grid"] = {{"sparsity", {0.0, 0.5}}, {"wbits", {16, 4}}};
  refused["base"].erase("wbits");
  const ProgramResult result = sweep(refused, {"--dry-run"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count(result.out, "to run"), 3U) << result.out;
  EXPECT_THAT(result.out, HasSubstr("nothing to do"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(Sweep, MistakesExitWithTheirCodes) {
  auto misspelt = config();
  misspelt["base"]["sparcity"] = 0.5;
  const ProgramResult usage = sweep(misspelt);
  EXPECT_EQ(usage.exit_code, 2);
  EXPECT_THAT(usage.err, HasSubstr("did you mean 'sparsity'?"));
  EXPECT_EQ(sweep(config(), {"--model", "no/such/model"}).exit_code, 3);
  EXPECT_EQ(sweep(config(), {"--only", "5/4"}).exit_code, 2);
  EXPECT_EQ(run_program(folder_, {"sweep", "no_such_file.json"}).exit_code, 3);
  EXPECT_EQ(run_program(folder_, {"sweep", folder_.file("cut.json", "{").string()}).exit_code, 3);
  EXPECT_TRUE(cell_files().empty());
}

TEST_F(Sweep, InterruptKeepsTheFinishedCells) {
  auto longer = config();
  longer["grid"]["nsamples"] = {4, 512};  // the second cell is still busy when the first is told
  longer["base"].erase("nsamples");
  const Path file = folder_.file("grid.json", longer.dump());
  Program program(folder_.path(), {"sweep", file.string()});
  ASSERT_TRUE(program.wait_for("cell 1/8 ")) << program.finish().err;
  program.interrupt();
  const ProgramResult result = program.finish();
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the same command goes on"));
  const std::size_t kept = cell_files().size();
  EXPECT_GE(kept, 1U);
  EXPECT_LT(kept, 8U);
}

}  // namespace
}  // namespace sgpt_mi::test
