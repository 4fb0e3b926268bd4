#include "sgpt_mi/report/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

PerplexityReport scored(std::vector<double> windows) {
  PerplexityFigures figures;
  for (const double nll : windows) figures.nll_mean += nll / static_cast<double>(windows.size());
  figures.ppl = std::exp(figures.nll_mean);
  figures.window_nll = std::move(windows);
  PerplexityReport set;
  set.set = "ptb";
  set.compressed = std::move(figures);
  return set;
}

ComparisonRow row(const std::string& method, std::uint64_t seed, std::vector<double> windows) {
  ComparisonRow result;
  result.method = method;
  result.seed = seed;
  result.summary.method = method;
  result.summary.stored_bits_per_weight = 4.25;
  result.summary.bytes = 90'000'000;
  result.summary.seconds = 12.5;
  result.summary.perplexity = {scored(std::move(windows))};
  return result;
}

/// Two methods on three windows with two seeds. Differences b - a over windows, means over seeds:
/// 1, 2, 3; over seeds: 1.5 and 2.5.
ComparisonReport two_methods() {
  ComparisonReport report;
  report.model = "<model>";
  report.dataset = "c4";
  PerplexityReport set;
  set.set = "ptb";
  set.dense = PerplexityFigures{9.0, 2.2, 0.01, 0.09, {}};
  report.sets = {set};
  report.rows = {row("a", 0, {1.0, 1.0, 1.0}), row("b", 0, {1.5, 2.5, 3.5}),
                 row("a", 7, {2.0, 2.0, 2.0}), row("b", 7, {3.5, 4.5, 5.5})};
  return report;
}

TEST(PairedDifferences, OverWindowsAndOverSeeds) {
  const std::vector<PairedDifference> differences = paired_differences(two_methods());
  ASSERT_EQ(differences.size(), 2U);
  const PairedDifference& windows = differences[0];
  EXPECT_EQ(windows.label, "b");
  EXPECT_EQ(windows.baseline, "a");
  EXPECT_EQ(windows.quantity, "NLL");
  EXPECT_EQ(windows.over, "windows");
  EXPECT_EQ(windows.pairs, 3U);
  EXPECT_NEAR(windows.test.mean_difference, 2.0, 1e-12);
  EXPECT_NEAR(windows.test.standard_error, 1.0 / std::sqrt(3.0), 1e-12);  // sd 1, n 3
  const PairedDifference& seeds = differences[1];
  EXPECT_EQ(seeds.over, "seeds");
  EXPECT_EQ(seeds.pairs, 2U);
  EXPECT_NEAR(seeds.test.mean_difference, 2.0, 1e-12);
  EXPECT_NEAR(seeds.test.standard_error, 0.5, 1e-12);  // sd sqrt(1/2), n 2
}

TEST(PairedDifferences, UseTheSeedsOfBoth) {
  ComparisonReport report = two_methods();
  report.rows.erase(report.rows.begin() + 2);  // a, seed 7
  const std::vector<PairedDifference> differences = paired_differences(report);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(differences[0].over, "windows");
  EXPECT_NEAR(differences[0].test.mean_difference, 1.5, 1e-12);
}

TEST(PairedDifferences, TestKlWhereBothHaveIt) {
  ComparisonReport report = two_methods();
  for (ComparisonRow& each : report.rows) {
    each.summary.perplexity[0].compressed->window_kl = {0.1, 0.2, each.method == "b" ? 0.6 : 0.3};
  }
  const std::vector<PairedDifference> differences = paired_differences(report);
  ASSERT_EQ(differences.size(), 4U);
  EXPECT_EQ(differences[2].quantity, "KL");
  EXPECT_NEAR(differences[2].test.mean_difference, 0.1, 1e-12);
}

TEST(PairedDifferences, RefuseDifferentWindows) {
  ComparisonReport report = two_methods();
  report.rows[1] = row("b", 0, {1.0, 2.0});
  try {
    static_cast<void>(paired_differences(report));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("2 and 3 windows of ptb"));
  }
}

TEST(PairedDifferences, OfOneMethodAreNone) {
  ComparisonReport report = two_methods();
  report.rows = {row("a", 0, {1.0, 2.0})};
  EXPECT_TRUE(paired_differences(report).empty());
  report.rows.clear();
  EXPECT_TRUE(paired_differences(report).empty());
}

TEST(ComparisonTable, HasDenseThenEveryRow) {
  const auto rows = comparison_rows(two_methods());
  ASSERT_EQ(rows.size(), 6U);
  EXPECT_THAT(rows[0], ElementsAre("method", "seed", "sparsity", "code bits", "stored bits/w",
                                   "bytes", "seconds", "ptb PPL"));
  EXPECT_EQ(rows[1].front(), "dense");
  EXPECT_EQ(rows[1].back(), "9.000 ± 0.090");
  EXPECT_THAT(rows[5], ElementsAre("b", "7", "0.0000", "0.000", "4.250", "90.0 MB", "12.5",
                                   "90.017 ± 0.000"));
}

TEST(ComparisonTable, ShowsSeedAndKlOnlyWhereThereAre) {
  ComparisonReport report = two_methods();
  report.rows.resize(2);
  report.rows[1].summary.perplexity[0].compressed->kl_mean = 0.5;
  EXPECT_THAT(comparison_rows(report)[0],
              ElementsAre("method", "sparsity", "code bits", "stored bits/w", "bytes", "seconds",
                          "ptb PPL", "ptb KL"));
}

TEST(ComparisonTable, LabelsNameTheGrouping) {
  ComparisonRow grouped = row("rd", 0, {1.0});
  EXPECT_EQ(row_label(grouped), "rd");
  grouped.grouping = "mi";
  EXPECT_EQ(row_label(grouped), "rd (mi)");
}

TEST(ComparisonText, NamesTheTest) {
  const std::string text = comparison_text(two_methods());
  EXPECT_THAT(text, HasSubstr("paired Student t-test"));
  EXPECT_THAT(text, HasSubstr("2.0000 ± 0.5774"));
  EXPECT_THAT(text, HasSubstr("Over seeds"));
}

TEST(ComparisonDocument, CarriesPicturesAndWarnings) {
  ComparisonReport report = two_methods();
  report.settings["nsamples"] = 128;
  report.warnings = {"beware"};
  const Document document = comparison_document(report, {{"a.png", "A.", "x"}});
  const std::string page = to_html(document);
  EXPECT_THAT(page, HasSubstr("data:image/png;base64,eA=="));
  EXPECT_THAT(page, HasSubstr("beware"));
  EXPECT_THAT(page, Not(HasSubstr("<model>")));
  EXPECT_THAT(to_markdown(document), HasSubstr("| nsamples | 128 |"));
}

TEST(ComparisonJson, HasRowsAndTests) {
  const nlohmann::ordered_json json = to_json(two_methods());
  ASSERT_EQ(json["rows"].size(), 4U);
  EXPECT_EQ(json["rows"][3]["label"], "b");
  EXPECT_EQ(json["rows"][3]["seed"], 7);
  EXPECT_EQ(json["rows"][3]["totals"]["bytes"], 90'000'000);
  EXPECT_EQ(json["rows"][3]["perplexity"]["ptb"]["compressed"]["window_nll"].size(), 3U);
  EXPECT_EQ(json["perplexity"]["ptb"]["dense"]["ppl"], 9.0);
  EXPECT_EQ(json["paired_differences"][1]["test"], "paired Student t-test, two-sided");
  EXPECT_EQ(json["paired_differences"][1]["degrees_of_freedom"], 1);
}

TEST(TradeoffPoints, NameSeedsWhenThereAreSeveral) {
  ComparisonReport report = two_methods();
  EXPECT_EQ(tradeoff_points(report)[3].label, "b, seed 7");
  report.rows.resize(2);
  const std::vector<TradeoffPoint> points = tradeoff_points(report);
  EXPECT_EQ(points[1].label, "b");
  EXPECT_EQ(points[1].size, 4.25);
  EXPECT_DOUBLE_EQ(points[1].cost, std::exp(2.5));
}

TEST(ComparisonText, NamesOfSetsStayOnTheirLine) {
  ComparisonReport report = two_methods();
  const std::string name = "a\nb\x1b";
  report.sets[0].set = name;
  for (ComparisonRow& each : report.rows) each.summary.perplexity[0].set = name;
  const std::string text = comparison_text(report);
  EXPECT_THAT(text, HasSubstr("a\\nb\\x1B PPL"));
  EXPECT_THAT(text, Not(HasSubstr("a\nb")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace sgpt_mi::report
