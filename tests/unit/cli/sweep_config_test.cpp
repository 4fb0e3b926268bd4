#include "sgpt_mi/cli/sweep_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "support/temporary_folder.h"

namespace sgpt_mi::cli {
namespace {

using Json = nlohmann::ordered_json;
using pipeline::GridCell;
using pipeline::SweepRun;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

Json small_grid() {
  return Json::parse(R"({"model": "m", "dataset": "d", "out": "o", "base": {"wbits": 4},
                         "grid": {"sparsity": [0.3, 0.5], "seed": [0, 1, 2]}})");
}

flags::ResolvedSettings typed_nothing() {
  flags::ResolvedSettings typed;
  typed.command = "sweep";
  return typed;
}

SweepRun expand(const Json& file, const flags::ResolvedSettings& typed = typed_nothing()) {
  return expand_sweep(file, typed, "grid.json");
}

std::string usage_error(const Json& file, const flags::ResolvedSettings& typed = typed_nothing()) {
  return error_of(ErrorKind::kUsage, [&] { static_cast<void>(expand(file, typed)); });
}

std::vector<std::string> varied(const SweepRun& run) {
  std::vector<std::string> texts;
  for (const GridCell& cell : run.cells) texts.push_back(cell.varied.dump());
  return texts;
}

TEST(ExpandSweep, GridIsEveryCombinationWithTheLastFlagFastest) {
  const SweepRun run = expand(small_grid());
  EXPECT_THAT(varied(run),
              ElementsAre(R"({"sparsity":0.3,"seed":0})", R"({"sparsity":0.3,"seed":1})",
                          R"({"sparsity":0.3,"seed":2})", R"({"sparsity":0.5,"seed":0})",
                          R"({"sparsity":0.5,"seed":1})", R"({"sparsity":0.5,"seed":2})"));
  EXPECT_EQ(run.model, "m");
  EXPECT_EQ(run.dataset, "d");
  EXPECT_EQ(run.out, "o");
  EXPECT_EQ(run.shared.dump(), R"({"wbits":4})");
  ASSERT_TRUE(run.cells[5].run);
  EXPECT_EQ(run.cells[5].run->compression.matrix.sparsity, 0.5);
  EXPECT_EQ(run.cells[5].run->compression.matrix.wbits, 4);
  EXPECT_EQ(run.cells[5].run->calibration.seed, 2U);
  EXPECT_EQ(run.cells[5].config["sparsity"], 0.5);
}

TEST(ExpandSweep, VariantSetsSeveralFlagsAtOnce) {
  Json file = small_grid();
  file["grid"] = {{"seed", {0, 1}}};
  file["variants"] = {{{"method", "magnitude"}, {"sparsity", 0.5}}, {{"act-order", true}}};
  EXPECT_THAT(varied(expand(file)),
              ElementsAre(R"({"method":"magnitude","sparsity":0.5,"seed":0})",
                          R"({"method":"magnitude","sparsity":0.5,"seed":1})",
                          R"({"act_order":true,"seed":0})", R"({"act_order":true,"seed":1})"));
}

TEST(ExpandSweep, ShowsRowsBesideWithTheirSource) {
  EXPECT_FALSE(expand(small_grid()).beside);
  Json file = small_grid();
  file["beside"] = Json::parse(
      R"({"source": "s", "set": "ptb", "rows": [{"name": "Q2_K", "bytes": 9, "kl": 0.5}]})");
  const SweepRun run = expand(file);
  ASSERT_TRUE(run.beside);
  EXPECT_EQ(run.beside->source, "s");
  EXPECT_EQ(run.beside->set, "ptb");
  ASSERT_EQ(run.beside->rows.size(), 1U);
  EXPECT_EQ(run.beside->rows[0].name, "Q2_K");
  EXPECT_EQ(run.beside->rows[0].bytes, 9);
  EXPECT_EQ(run.beside->rows[0].kl, 0.5);
  Json changed = file;
  changed["beside"].erase("source");
  EXPECT_THAT(usage_error(changed), HasSubstr("where its figures come from"));
  changed = file;
  changed["beside"]["row"] = 1;
  EXPECT_THAT(usage_error(changed), HasSubstr("did you mean 'rows'?"));
  for (const char* row : {R"({"name": "a", "bytes": 9, "kl": 0})", R"({"name": "a", "bytes": 9})",
                          R"({"name": "a", "bytes": 9.5, "kl": 1})", "1"}) {
    changed = file;
    changed["beside"]["rows"].push_back(Json::parse(row));
    EXPECT_THAT(usage_error(changed), HasSubstr("is no row")) << row;
  }
}

TEST(ExpandSweep, SkipLeavesOutWhatAgreesWithAllItsMembers) {
  Json file = small_grid();
  file["skip"] = {{{"sparsity", 0.3}, {"seed", 1}}, {{"seed", 2}}};
  EXPECT_THAT(varied(expand(file)),
              ElementsAre(R"({"sparsity":0.3,"seed":0})", R"({"sparsity":0.5,"seed":0})",
                          R"({"sparsity":0.5,"seed":1})"));
  file["skip"] = Json::array({Json::object()});
  EXPECT_THAT(usage_error(file), HasSubstr("no cell"));
  file["skip"] = {{{"wbits", 4}}};
  EXPECT_THAT(usage_error(file), HasSubstr("'wbits', which is not varied"));
}

TEST(ExpandSweep, CommandLineOverridesBaseAndTheNamesOfTheFile) {
  flags::ResolvedSettings typed = typed_nothing();
  typed.values.wbits = 3;
  typed.origins["wbits"] = flags::Origin::kFlag;
  typed.values.model = "other";
  typed.values.data_dir = "data";
  typed.origins["data_dir"] = flags::Origin::kEnvironment;
  Json file = small_grid();
  EXPECT_EQ(expand(file, typed).model, "other");
  EXPECT_EQ(expand(file, typed).cells[0].run->compression.matrix.wbits, 3);
  EXPECT_EQ(expand(file, typed).cells[0].run->eval.data_dir, "data");
  file["base"]["data_dir"] = "from the file";
  EXPECT_EQ(expand(file, typed).cells[0].run->eval.data_dir, "from the file");

  typed.origins["sparsity"] = flags::Origin::kFlag;
  EXPECT_THAT(usage_error(file, typed), HasSubstr("--sparsity is varied by grid.json"));
}

TEST(ExpandSweep, IdentityHoldsWhatDecidesTheResultAndNothingElse) {
  const GridCell cell = expand(small_grid()).cells[0];
  EXPECT_EQ(cell.id().size(), 12U);
  EXPECT_EQ(cell.id(), expand(small_grid()).cells[0].id());

  const auto id_with = [](const char* key, const Json& value) {
    Json file = small_grid();
    file["base"][key] = value;
    return expand(file).cells[0].id();
  };
  EXPECT_EQ(id_with("threads", 3), cell.id());
  EXPECT_EQ(id_with("percdamp", 0.01), cell.id());  // the default, written out
  EXPECT_NE(id_with("percdamp", 0.1), cell.id());
  EXPECT_NE(id_with("eval_windows", 1), cell.id());
  Json file = small_grid();
  file["dataset"] = "another";
  EXPECT_NE(expand(file).cells[0].id(), cell.id());
}

TEST(ExpandSweep, CombinationsThatAreNoRunAreRefusedCells) {
  Json file = small_grid();
  file["grid"] = {{"sparsity", {0.0, 0.5}}, {"wbits", {16, 4}}};
  file["base"] = Json::object();
  const SweepRun run = expand(file);
  EXPECT_FALSE(run.cells[0].run);
  EXPECT_THAT(run.cells[0].refusal, HasSubstr("nothing to do"));
  for (const std::size_t i : {1, 2, 3}) EXPECT_TRUE(run.cells[i].run) << i;
}

TEST(ExpandSweep, MistakesInTheFileAreUsageErrors) {
  const auto with = [](const char* key, const char* value) {
    Json file = small_grid();
    file[key] = Json::parse(value);
    return usage_error(file);
  };
  EXPECT_THAT(with("base", R"({"sparcity": 0.5})"), HasSubstr("did you mean 'sparsity'?"));
  EXPECT_THAT(with("grid", R"({"wbit": [4]})"), HasSubstr("did you mean 'wbits'?"));
  EXPECT_THAT(with("base", R"({"save": "x"})"), HasSubstr("unknown key 'save'"));
  EXPECT_THAT(with("gird", "{}"), HasSubstr("did you mean 'grid'?"));
  EXPECT_THAT(with("grid", R"({"wbits": 4})"), HasSubstr("a list of values was expected"));
  EXPECT_THAT(with("grid", R"({"wbits": []})"), HasSubstr("a list of values was expected"));
  EXPECT_THAT(with("grid", R"({"wbits": ["four"]})"), HasSubstr("an integer that fits"));
  EXPECT_THAT(with("grid", "{}"), HasSubstr("nothing is varied"));
  EXPECT_THAT(with("grid", "[]"), HasSubstr("a JSON object was expected"));
  EXPECT_THAT(with("grid", R"({"seed": [1, 2, 1]})"), HasSubstr("two cells are the same"));
  EXPECT_THAT(with("variants", R"([{"seed": 1}])"), HasSubstr("'seed' stands in grid twice"));
  EXPECT_THAT(with("variants", "[1]"), HasSubstr("not an object of flags"));
  EXPECT_THAT(with("out", R"("")"), HasSubstr("--out"));
  EXPECT_THAT(usage_error(Json::parse("[]")), HasSubstr("not a JSON object"));
}

TEST(ExpandSweep, CommittedSweepsHaveNoRefusedCell) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SGPT_MI_SOURCE_DIR "/configs")) {
    if (!entry.path().filename().string().starts_with("ablation_")) continue;
    std::ifstream stream(entry.path());
    const SweepRun run = expand(Json::parse(stream));
    for (const GridCell& cell : run.cells) {
      EXPECT_TRUE(cell.run) << entry.path() << " " << cell.varied.dump() << ": " << cell.refusal;
    }
    ++files;
  }
  EXPECT_GT(files, 0U);
}

TEST(ShareOf, SharesPartitionTheCells) {
  const std::vector<GridCell> cells = expand(small_grid()).cells;
  for (const std::size_t shares : {1U, 2U, 4U, 6U, 9U}) {
    std::multiset<std::string> ids;
    std::size_t largest = 0;
    for (std::size_t i = 1; i <= shares; ++i) {
      const auto part = share_of(cells, std::to_string(i) + "/" + std::to_string(shares));
      largest = std::max(largest, part.size());
      for (const GridCell& cell : part) ids.insert(cell.id());
    }
    std::multiset<std::string> all;
    for (const GridCell& cell : cells) all.insert(cell.id());
    EXPECT_EQ(ids, all) << shares << " shares";
    EXPECT_EQ(largest, (cells.size() + shares - 1) / shares) << shares << " shares";
  }
  EXPECT_EQ(share_of(cells, "2/4")[1].id(), cells[5].id());
}

TEST(ShareOf, RefusesWhatIsNoShare) {
  for (const char* text : {"", "1", "0/2", "3/2", "1/0", "-1/2", "1/2x", "a/b", "1 /2"}) {
    const std::string error =
        error_of(ErrorKind::kUsage, [&] { static_cast<void>(share_of({}, text)); });
    EXPECT_THAT(error, HasSubstr("I/N")) << text;
  }
}

}  // namespace
}  // namespace sgpt_mi::cli
