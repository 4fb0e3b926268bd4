#include "sgpt_mi/report/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sgpt_mi::report {
namespace {

using testing::HasSubstr;
using testing::Not;

LayerReport layer(const std::string& name, double silhouette) {
  LayerReport result;
  result.name = name;
  result.rows = 4;
  result.columns = 8;
  result.average_bits = 3.5;
  result.stored_bits = 4.0;
  result.groups = {{6, 4, 0.3, 1.0}, {2, 2, std::nullopt, 0.1}};
  result.silhouette = silhouette;
  result.channels_by_bits = {{2, 2}, {4, 6}};
  result.importance_min = 0.001;
  result.importance_max = 25.0;
  return result;
}

RunReport run() {
  RunReport report;
  report.method = "enhanced";
  report.model.path = "tiny";
  report.layers = {layer("layers.0.q", 0.2), layer("layers.1.q", 0.4)};
  report.totals = sum_layers(report.layers, 1000);
  report.totals->bytes_by_part = {{"codes", 700}};
  report.totals->written_file_bytes = 1100;
  report.warnings = {"2 dead channels"};
  return report;
}

TEST(Statistics, CountChannelsPerWidthWithShares) {
  const std::string text = statistics_text(run());
  EXPECT_THAT(text, HasSubstr("2            4   25.00 %"));
  EXPECT_THAT(text, HasSubstr("4           12   75.00 %"));
  EXPECT_THAT(text, HasSubstr("all         16  100.00 %"));
}

TEST(Statistics, GiveGroupsSilhouettesAndImportances) {
  const std::string text = statistics_text(run());
  EXPECT_THAT(text, HasSubstr("silhouette    0.2000  0.3000  0.4000        2"));
  EXPECT_THAT(text, HasSubstr("0.001 .. 25"));
  EXPECT_THAT(text, HasSubstr("code bits a weight        3.5000"));
  EXPECT_THAT(text, HasSubstr("bytes of codes               700"));
  EXPECT_THAT(text, HasSubstr("file bytes, written         1100"));
}

TEST(Statistics, LeaveOutWhatWasNotRecorded) {
  RunReport report = run();
  for (LayerReport& each : report.layers) {
    each.groups.clear();
    each.channels_by_bits.clear();
  }
  const std::string text = statistics_text(report);
  EXPECT_THAT(text, Not(HasSubstr("Channels per width")));
  EXPECT_THAT(text, Not(HasSubstr("Grouping")));
  report.totals.reset();
  EXPECT_EQ(statistics_text(report), "");
}

TEST(RunDocument, HasResultPicturesStatisticsAndWarnings) {
  const std::string text = to_markdown(run_document(run(), {{"p.png", "P.", "x"}}));
  for (const char* part : {"# enhanced: tiny", "## Result", "![P.](<p.png>)",
                           "## Channels per width", "## Linears", "2 dead channels"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace sgpt_mi::report
