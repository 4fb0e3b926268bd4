#include "sgpt_mi/report/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(RunReport, JsonHasTheStableKeys) {
  RunReport report;
  report.layers.push_back(layer(2, 2, 0.5, 4.0));
  report.layers.back().damping_steps = {{0.01, false, false, 0.0}, {0.02, false, true, 1e-6}};
  report.calibration = CalibrationReport{"c4", 8, 128, 0, "abc"};
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
  EXPECT_EQ(json["perplexity"]["ptb"]["dense"]["ppl"], 10.0);
  EXPECT_FALSE(json["perplexity"]["ptb"].contains("compressed"));
  EXPECT_EQ(json["calibration"]["token_sha256"], "abc");
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

TEST(HumanBytes, PicksUnits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(6'910'272), "6.9 MB");
  EXPECT_EQ(human_bytes(999'960), "1.0 MB");
  EXPECT_EQ(human_bytes(26'000'000'000), "26.0 GB");
}

}  // namespace
}  // namespace sgpt_mi::report
