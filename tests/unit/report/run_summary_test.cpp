#include "sgpt_mi/report/run_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::report {
namespace {

PerplexityReport scored(const std::string& name, double nll, double error) {
  PerplexityReport set;
  set.set = name;
  set.protocol = "windows";
  set.windows = 2;
  set.compressed = PerplexityFigures{std::exp(nll), nll, error, std::exp(nll) * error, {nll, nll}};
  return set;
}

RunReport run() {
  RunReport report;
  report.method = "rd";
  LayerReport layer;
  layer.rows = layer.columns = 4;
  layer.sparsity = 0.5;
  layer.average_bits = 4.0;
  layer.stored_bits = 4.5;
  report.layers = {layer};
  report.totals = sum_layers(report.layers, 1234);
  report.timings = {{"compress", 3.5}, {"total", 9.0}};
  report.perplexity = {scored("wikitext2", 3.0, 0.03), scored("c4", 4.0, 0.04)};
  return report;
}

TEST(Summary, TakesTotalsAndTheCompressionsTime) {
  const RunSummary summary = summarize(run());
  EXPECT_EQ(summary.method, "rd");
  EXPECT_EQ(summary.sparsity, 0.5);
  EXPECT_EQ(summary.average_code_bits, 4.0);
  EXPECT_EQ(summary.stored_bits_per_weight, 4.5);
  EXPECT_EQ(summary.bytes, 1234);
  EXPECT_EQ(summary.seconds, 3.5);
}

TEST(Summary, OfARunThatCompressedNothingIsABug) {
  RunReport report = run();
  report.totals.reset();
  EXPECT_THROW(static_cast<void>(summarize(report)), Error);
}

TEST(Summary, ComesBackFromTheReportsJson) {
  RunReport report = run();
  report.perplexity[1].compressed->kl_mean = 0.25;
  report.perplexity[1].compressed->window_kl = {0.2, 0.3};
  const RunSummary summary = summarize(report);
  EXPECT_EQ(to_json(summary_from_json(to_json(report), "r.json")), to_json(summary));
  EXPECT_EQ(to_json(summary_from_json(to_json(summary), "s.json")), to_json(summary));
  const RunSummary read = summary_from_json(to_json(report), "r.json");
  EXPECT_EQ(read.perplexity[0].set, "wikitext2");
  EXPECT_EQ(read.perplexity[1].compressed->kl_mean, 0.25);
  EXPECT_FALSE(read.perplexity[0].compressed->kl_mean.has_value());
}

TEST(Summary, OfAnotherJsonIsAnInputError) {
  try {
    static_cast<void>(summary_from_json({{"method", 3}}, "odd.json"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), testing::HasSubstr("odd.json"));
  }
}

TEST(MeanOverSets, IsTheGeometricMeanWithItsError) {
  RunSummary summary = summarize(run());
  auto mean = mean_over_sets(summary);
  ASSERT_TRUE(mean.has_value());
  EXPECT_DOUBLE_EQ(mean->ppl, std::exp(3.5));
  EXPECT_NEAR(mean->ppl_stderr, std::exp(3.5) * 0.025, 1e-12);  // sqrt(0.03^2 + 0.04^2) / 2
  EXPECT_FALSE(mean->kl_mean.has_value());
  summary.perplexity[0].compressed->kl_mean = 0.1;
  EXPECT_FALSE(mean_over_sets(summary)->kl_mean.has_value());
  summary.perplexity[1].compressed->kl_mean = 0.3;
  mean = mean_over_sets(summary);
  ASSERT_TRUE(mean->kl_mean.has_value());
  EXPECT_DOUBLE_EQ(*mean->kl_mean, 0.2);
}

TEST(MeanOverSets, OfNoSetIsAbsent) {
  RunSummary summary;
  EXPECT_FALSE(mean_over_sets(summary).has_value());
  summary.perplexity.emplace_back();
  EXPECT_FALSE(mean_over_sets(summary).has_value());
}

}  // namespace
}  // namespace sgpt_mi::report
