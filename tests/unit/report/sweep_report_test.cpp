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

TEST(Sweep, OfNothingHasHeadingsOnly) {
  EXPECT_EQ(sweep_rows({}).size(), 1U);
  EXPECT_THAT(sweep_csv({}), HasSubstr("error\r\n"));
}

}  // namespace
}  // namespace sgpt_mi::report
