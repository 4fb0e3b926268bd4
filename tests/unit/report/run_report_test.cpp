#include "sgpt_mi/report/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace sgpt_mi::report {
namespace {

LayerReport layer(std::int64_t rows, std::int64_t columns, double sparsity, double bits) {
  LayerReport result;
  result.name = "layer";
  result.rows = rows;
  result.columns = columns;
  result.sparsity = sparsity;
  result.average_bits = bits;
  result.stored_bits = 16.0;
  return result;
}

TEST(SumLayers, WeighsByNumberOfWeights) {
  const TotalsReport totals = sum_layers({layer(2, 50, 0.5, 4.0), layer(3, 100, 0.25, 8.0)}, 1234);
  EXPECT_EQ(totals.weights, 400);
  EXPECT_DOUBLE_EQ(totals.sparsity, (0.5 * 100 + 0.25 * 300) / 400);
  EXPECT_DOUBLE_EQ(totals.average_code_bits, (4.0 * 100 + 8.0 * 300) / 400);
  EXPECT_DOUBLE_EQ(totals.stored_bits_per_weight, 16.0);
  EXPECT_EQ(totals.bytes, 1234);
  EXPECT_THAT(totals.bit_histogram,
              testing::ElementsAre(testing::Pair("4", 100), testing::Pair("8", 300)));
}

TEST(SumLayers, OfNothingIsZero) {
  const TotalsReport totals = sum_layers({}, 0);
  EXPECT_EQ(totals.weights, 0);
  EXPECT_EQ(totals.average_code_bits, 0.0);
}

TEST(LayerPlaces, AreBlockAndKind) {
  std::vector<LayerReport> layers(3);
  layers[0].name = "model.layers.12.self_attn.q_proj";
  layers[1].name = "lm_head";
  layers[2].name = "h.3.mlp.2";
  const std::vector<LayerPlace> places = layer_places(layers);
  EXPECT_EQ(places[0].block, 12);
  EXPECT_EQ(places[0].kind, "q_proj");
  EXPECT_EQ(places[1].block, 1);
  EXPECT_EQ(places[1].kind, "lm_head");
  EXPECT_EQ(places[2].block, 3);
  EXPECT_EQ(places[2].kind, "2");
}

TEST(LayerJson, IsReadBackToTheLastBit) {
  LayerReport full = layer(3, 5, 1.0 / 3.0, 2.7);
  full.type = "Q4_K";
  full.coded = true;
  full.step = 0.1;
  full.loss = 1e-300;
  full.drift = 0.7;
  full.damping_steps = {{0.01, false, false, 0.0}, {0.02, true, true, 1.0 / 7.0}};
  full.dead_channels = 1;
  full.rank_deficient = true;
  full.condition = 1e9;
  full.stream_gap = 0.25;
  full.planned_damage = 0.5;
  full.reached_damage = 0.75;
  full.groups = {{4, 3, 0.5, std::nullopt}, {1, 2}};
  full.silhouette = -0.5;
  full.channels_by_bits = {{2, 4}, {16, 1}};
  full.importance_min = 0.0;
  full.importance_max = 1.0 / 9.0;
  for (const LayerReport& each : {LayerReport(), full}) {
    const std::string text = to_json(each).dump();
    const LayerReport read = layer_from_json(nlohmann::ordered_json::parse(text), "here");
    EXPECT_EQ(to_json(read).dump(), text);
    EXPECT_EQ(read.coded, each.coded);
    EXPECT_EQ(read.groups.size(), each.groups.size());
  }
}

TEST(LayerJson, NamesTheFileThatLacksAKey) {
  nlohmann::ordered_json json = to_json(LayerReport());
  json.erase("loss");
  EXPECT_THAT(test::input_error([&] { (void)layer_from_json(json, "a journal"); }),
              testing::AllOf(testing::HasSubstr("a journal"), testing::HasSubstr("loss")));
  json = to_json(LayerReport());
  json["channels_by_bits"]["many"] = 1;
  EXPECT_THAT(test::input_error([&] { (void)layer_from_json(json, "a journal"); }),
              testing::HasSubstr("a width that is no number"));
}

TEST(RunReport, JsonHasTheStableKeys) {
  RunReport report;
  report.layers.push_back(layer(2, 2, 0.5, 4.0));
  LayerReport& recorded = report.layers.back();
  recorded.condition = 200.0;
  recorded.massive_channels = 3;
  recorded.activation_max = 7.5;
  recorded.planned_damage = 0.25;
  recorded.reached_damage = 0.5;
  report.layers.back().damping_steps = {{0.01, false, false, 0.0}, {0.02, false, true, 1e-6}};
  report.calibration = CalibrationReport{"c4", 8, 128, 0, "abc", "bfloat16"};
  report.totals = sum_layers(report.layers, 10);
  PerplexityReport set;
  set.set = "ptb";
  set.dense = PerplexityFigures{10.0, 2.3, 0.1, 1.0, {2.3}};
  report.perplexity = {set};

  const nlohmann::ordered_json json = to_json(report);
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(
      keys, testing::IsSupersetOf({"version", "command", "config", "model", "calibration", "layers",
                                   "totals", "perplexity", "timings", "peak_bytes"}));
  EXPECT_EQ(json["layers"][0]["retries"], 1);
  EXPECT_EQ(json["layers"][0]["damping_steps"].size(), 2U);
  EXPECT_EQ(json["layers"][0]["condition"], 200.0);
  EXPECT_EQ(json["layers"][0]["massive_channels"], 3);
  EXPECT_EQ(json["layers"][0]["activation_max"], 7.5);
  EXPECT_EQ(json["layers"][0]["planned_damage"], 0.25);
  EXPECT_EQ(json["layers"][0]["reached_damage"], 0.5);
  EXPECT_TRUE(json["layers"][0]["stream_gap"].is_null());
  EXPECT_EQ(json["perplexity"]["ptb"]["dense"]["ppl"], 10.0);
  EXPECT_FALSE(json["perplexity"]["ptb"].contains("compressed"));
  EXPECT_EQ(json["calibration"]["token_sha256"], "abc");
}

TEST(RunReport, JsonHasGroupsAndDistances) {
  RunReport report;
  report.layers.push_back(layer(2, 5, 0.0, 3.0));
  report.layers[0].groups = {{4, 3, 0.5, 2.0}, {1, 3, std::nullopt, std::nullopt}};
  report.layers[0].silhouette = 0.25;
  report.layers[0].channels_by_bits = {{3, 5}};
  report.layers[0].importance_max = 7.0;
  report.totals = sum_layers(report.layers, 10);
  report.totals->bytes_by_part = {{"codes", 8}};
  PerplexityReport set;
  set.set = "c4";
  set.dense = PerplexityFigures{10.0, 2.3, 0.1, 1.0, {2.3}};
  set.compressed = set.dense;
  set.compressed->kl_mean = 0.5;
  set.compressed->kl_stderr = 0.01;
  set.compressed->top1_agreement = 0.75;
  set.compressed->window_kl = {0.5};
  report.perplexity = {set};

  const nlohmann::ordered_json json = to_json(report);
  const auto& groups = json["layers"][0]["groups"];
  EXPECT_EQ(groups[0].dump(), R"({"channels":4,"bits":3,"mean_nmi":0.5,"importance":2.0})");
  EXPECT_TRUE(groups[1]["mean_nmi"].is_null());
  EXPECT_EQ(json["layers"][0]["silhouette"], 0.25);
  EXPECT_EQ(json["layers"][0]["channels_by_bits"]["3"], 5);
  EXPECT_TRUE(json["layers"][0]["importance_min"].is_null());
  EXPECT_EQ(json["layers"][0]["importance_max"], 7.0);
  EXPECT_EQ(json["totals"]["bytes_by_part"]["codes"], 8);
  EXPECT_FALSE(json["totals"].contains("written_file_bytes"));
  const auto& figures = json["perplexity"]["c4"];
  EXPECT_EQ(figures["compressed"]["kl_mean"], 0.5);
  EXPECT_EQ(figures["compressed"]["kl_stderr"], 0.01);
  EXPECT_EQ(figures["compressed"]["top1_agreement"], 0.75);
  EXPECT_EQ(figures["compressed"]["window_kl"].size(), 1U);
  EXPECT_FALSE(figures["dense"].contains("kl_mean"));
}

TEST(ResultTable, ShowsKlAndTop1WhereMeasured) {
  RunReport report;
  report.method = "rd";
  PerplexityReport set;
  set.set = "c4";
  set.dense = PerplexityFigures{27.656, 3.3, 0.01, 0.25, {}};
  set.compressed = set.dense;
  set.compressed->kl_mean = 0.12345;
  set.compressed->kl_stderr = 0.0021;
  set.compressed->top1_agreement = 0.9124;
  report.perplexity = {set, set};
  report.perplexity[1].set = "ptb";
  report.perplexity[1].compressed->kl_mean.reset();
  report.perplexity[1].compressed->top1_agreement.reset();
  const auto rows = result_rows(report);
  EXPECT_THAT(rows[0], testing::ElementsAre("model", "sparsity", "code bits", "stored bits/w",
                                            "bytes", "c4 PPL", "c4 KL", "c4 top-1", "ptb PPL"));
  EXPECT_THAT(rows[2], testing::IsSupersetOf({"27.656 ± 0.250", "0.1235 ± 0.0021", "91.24 %"}));
  EXPECT_EQ(rows[1][6], "-");  // dense against itself
}

TEST(ResultTable, ShowsDenseBesideCompressed) {
  RunReport report;
  report.method = "sparsegpt";
  report.layers.push_back(layer(10, 10, 0.5, 4.0));
  report.totals = sum_layers(report.layers, 6'900'000);
  PerplexityReport set;
  set.set = "c4";
  set.dense = PerplexityFigures{27.656, 3.3, 0.01, 0.25, {}};
  set.compressed = PerplexityFigures{136.85, 4.9, 0.01, 1.5, {}};
  report.perplexity = {set};
  const std::string table = result_table(report);
  EXPECT_THAT(table, testing::HasSubstr("c4 PPL"));
  EXPECT_THAT(table, testing::HasSubstr("27.656 ± 0.250"));
  EXPECT_THAT(table, testing::HasSubstr("136.85 ± 1.50"));
  EXPECT_LT(table.find("dense"), table.find("sparsegpt"));
}

TEST(ResultTable, NamesOfSetsStayOnTheirLine) {
  RunReport report;
  PerplexityReport set;
  set.set = "a\nb\x1b";
  set.dense = PerplexityFigures{10.0, 2.3, 0.1, 1.0, {2.3}};
  report.perplexity = {set};
  EXPECT_THAT(result_rows(report)[0], testing::Contains("a\\nb\\x1B PPL"));
}

}  // namespace
}  // namespace sgpt_mi::report
