#include "sgpt_mi/report/sweep_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/report/pareto.h"

namespace sgpt_mi::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ParetoFront, KeepsWhatNothingDominates) {
  //                    kept  above  kept  kept  right of the third
  const std::vector<double> x{1.0, 2.0, 2.0, 4.0, 3.0};
  const std::vector<double> y{9.0, 9.5, 5.0, 1.0, 5.0};
  EXPECT_THAT(pareto_front(x, y), ElementsAre(0U, 2U, 3U));
}

TEST(ParetoFront, KeepsTwinsAndDropsWhatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> x{2.0, 1.0, 2.0, nan, 0.0};
  const std::vector<double> y{1.0, 3.0, 1.0, 0.0, nan};
  EXPECT_THAT(pareto_front(x, y), ElementsAre(1U, 0U, 2U));
  EXPECT_TRUE(pareto_front({}, {}).empty());
  EXPECT_THROW(static_cast<void>(pareto_front(x, std::vector<double>{1.0})), Error);
}

SweepCell cell(double sparsity, int seed, double bits, double ppl) {
  SweepCell result;
  result.config = {{"sparsity", sparsity}, {"seed", seed}};
  RunSummary summary;
  summary.method = "rd";
  summary.sparsity = sparsity;
  summary.stored_bits_per_weight = bits;
  PerplexityReport set;
  set.set = "ptb";
  set.compressed = PerplexityFigures{ppl, std::log(ppl), 0.01, 0.01 * ppl, {}};
  summary.perplexity = {set};
  result.result = summary;
  return result;
}

/// Three results, the last one beaten by the first, and a failure.
SweepReport sweep() {
  SweepReport report;
  report.model = "m";
  report.cells = {cell(0.5, 0, 3.0, 30.0), cell(0.5, 1, 4.0, 20.0), cell(0.25, 0, 5.0, 40.0)};
  SweepCell failed;
  failed.config = {{"sparsity", 0.75}, {"seed", 0}, {"wbits", 2}};
  failed.error = "obs: not \"definite\", stop";
  report.cells.push_back(failed);
  return report;
}

TEST(Sweep, FrontByPerplexityAndByKl) {
  SweepReport report = sweep();
  EXPECT_THAT(sweep_front(report, SweepQuality::kPerplexity), ElementsAre(0U, 1U));
  EXPECT_TRUE(sweep_front(report, SweepQuality::kKl).empty());
  report.cells[2].result->perplexity[0].compressed->kl_mean = 0.1;
  EXPECT_THAT(sweep_front(report, SweepQuality::kKl), ElementsAre(2U));
}

TEST(Sweep, TableHasEveryKeyAndMarksTheFront) {
  const auto rows = sweep_rows(sweep());
  EXPECT_THAT(rows[0],
              ElementsAre("sparsity", "seed", "wbits", "sparsity reached", "code bits",
                          "stored bits/w", "bytes", "seconds", "ptb PPL", "mean PPL", "front"));
  EXPECT_THAT(rows[2], ElementsAre("0.5", "1", "", "0.5000", "0.000", "4.000", "0 B", "0.0",
                                   "20.000 ± 0.200", "20.000", "*"));
  EXPECT_EQ(rows[3].back(), "");
  EXPECT_EQ(rows[4][3], "-");
  EXPECT_EQ(rows[4].back(), "failed");
  for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
}

TEST(Sweep, CsvIsExactAndQuoted) {
  SweepReport report = sweep();
  report.cells[0].result->stored_bits_per_weight = 0.1;
  const std::string csv = sweep_csv(report);
  EXPECT_THAT(csv, testing::StartsWith("sparsity,seed,wbits,sparsity_reached,"));
  EXPECT_THAT(csv, HasSubstr("\r\n0.5,0,,0.5,0,0.1,0,0,30,"));
  EXPECT_THAT(csv, testing::EndsWith(",0,0,\"obs: not \"\"definite\"\", stop\"\r\n"));
}

TEST(Sweep, SeedsAreTakenTogether) {
  const auto rows = sweep_seed_rows(sweep());
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_THAT(rows[1], ElementsAre("sparsity=0.5", "2", "25.000 ± 5.000"));  // sd 7.07, n 2
  EXPECT_THAT(rows[2], ElementsAre("sparsity=0.25", "1", "40.000"));
  SweepReport single = sweep();
  single.cells.erase(single.cells.begin());
  EXPECT_TRUE(sweep_seed_rows(single).empty());
}

TEST(Sweep, JsonAndDocumentKeepTheFailure) {
  const nlohmann::ordered_json json = to_json(sweep());
  EXPECT_TRUE(json["cells"][3]["result"].is_null());
  EXPECT_EQ(json["cells"][3]["error"], "obs: not \"definite\", stop");
  EXPECT_THAT(json["pareto_ppl"], ElementsAre(0, 1));
  EXPECT_THAT(to_html(sweep_document(sweep(), {})),
              HasSubstr("sparsity=0.75 seed=0 wbits=2: obs: not &quot;definite&quot;, stop"));
  EXPECT_EQ(tradeoff_points(sweep()).size(), 3U);
}

/// The sweep with KL on a set, and a row of another program.
SweepReport sweep_beside() {
  SweepReport report = sweep();
  double kl = 0.5;
  for (SweepCell& cell : report.cells) {
    if (!cell.result) continue;
    cell.result->bytes = 3'000'000;
    cell.result->perplexity[0].compressed->kl_mean = kl;
    cell.result->perplexity[0].compressed->kl_stderr = 0.1 * kl;
    kl *= 0.5;
  }
  report.beside = Beside{"Theirs <1>.", "ptb", {{"Q2_K", 2'000'000, 0.75}}};
  return report;
}

TEST(Sweep, KlPointsOfTheCellsAndOfOthersBeside) {
  const auto points = kl_points(sweep_beside());
  ASSERT_EQ(points.size(), 4U);
  EXPECT_EQ(points[1].size, 3.0);
  EXPECT_EQ(points[1].cost, 0.25);
  EXPECT_EQ(points[1].error, 0.025);
  EXPECT_FALSE(points[1].beside);
  EXPECT_EQ(points[3].label, "Q2_K (not ours)");
  EXPECT_EQ(points[3].size, 2.0);
  EXPECT_EQ(points[3].cost, 0.75);
  EXPECT_TRUE(points[3].beside);
  SweepReport other = sweep_beside();
  other.beside->set = "c4";  // which no cell was scored on
  EXPECT_TRUE(kl_points(other).empty());
  other.beside.reset();
  EXPECT_EQ(kl_set(other), "ptb");
  EXPECT_EQ(kl_points(other).size(), 3U);
  EXPECT_TRUE(kl_points(sweep()).empty());
}

TEST(Sweep, SaysWhatIsNotItsOwn) {
  const std::string text = sweep_text(sweep_beside());
  EXPECT_THAT(text, HasSubstr("Beside: not ours\n\nTheirs <1>.\n"));
  EXPECT_THAT(text, HasSubstr("2.0 MB"));
  EXPECT_THAT(to_html(sweep_document(sweep_beside(), {})), HasSubstr("Theirs &lt;1&gt;."));
  EXPECT_EQ(to_json(sweep_beside())["beside"]["rows"][0]["bytes"], 2'000'000);
  EXPECT_THAT(sweep_text(sweep()), testing::Not(HasSubstr("not ours")));
}

TEST(Sweep, OfNothingHasHeadingsOnly) {
  EXPECT_EQ(sweep_rows({}).size(), 1U);
  EXPECT_THAT(sweep_csv({}), HasSubstr("error\r\n"));
}

}  // namespace
}  // namespace sgpt_mi::report
