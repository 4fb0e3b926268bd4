#include "sgpt_mi/costs/rank_costs.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "support/tiny_model.h"

namespace sgpt_mi::costs {
namespace {

/// A tiny LLaMA, 16 batches of windows.
struct Scene {
  Scene() {
    checkpoint.config = test::tiny_llama_config();
    checkpoint.tensors = std::make_unique<test::MemorySource>(test::tiny_llama_tensors());
    model = std::make_unique<model::Model>(checkpoint);
  }
  [[nodiscard]] CostQuestion question() const {
    CostQuestion asked{*model};
    asked.windows = 64;
    asked.seqlen = 8;
    return asked;
  }
  formats::Checkpoint checkpoint;
  std::unique_ptr<model::Model> model;
};

constexpr Rates kUnit{1.0, 1.0, 1.0, 1.0, 1.0, 0.0, "one a second"};

double stage(const RankCosts& costs, const std::string& name) {
  for (const auto& [known, seconds] : costs.seconds) {
    if (known == name) return seconds;
  }
  ADD_FAILURE() << name;
  return 0.0;
}

TEST(RankCosts, ForwardsAreSharedAndNothingIsSentByOne) {
  const Scene scene;
  const RankCosts one = rank_costs(scene.question(), kUnit, 1);
  const RankCosts four = rank_costs(scene.question(), kUnit, 4);
  EXPECT_DOUBLE_EQ(stage(one, "forward"), 4.0 * stage(four, "forward"));
  EXPECT_DOUBLE_EQ(stage(one, "H"), 4.0 * stage(four, "H"));
  EXPECT_LT(stage(four, "OBS"), stage(one, "OBS"));
  EXPECT_EQ(one.all_bytes, 0);
  EXPECT_EQ(stage(one, "exchange"), 0.0);
}

TEST(RankCosts, ForwardsAreTwoOperationsAWeightAndToken) {
  const Scene scene;
  CostQuestion asked = scene.question();
  double weights = 0.0;
  for (const model::LinearInfo& linear : scene.model->block_linears(0)) {
    weights += static_cast<double>(linear.rows * linear.columns);
  }
  const model::ModelSpec& spec = scene.model->spec();
  const double tokens = 64.0 * 8.0;
  const double of_token = 2.0 * weights + 2.0 * 8.0 * static_cast<double>(spec.hidden);
  const double layers = static_cast<double>(spec.layers);
  EXPECT_DOUBLE_EQ(stage(rank_costs(asked, kUnit, 1), "forward"), 2.0 * layers * tokens * of_token);
  asked.true_sequential = true;
  EXPECT_DOUBLE_EQ(stage(rank_costs(asked, kUnit, 1), "forward"), layers * tokens * of_token);
}

TEST(RankCosts, SumsTravelAsLaneSumSendsThem) {
  const Scene scene;
  double squares = 0.0;
  std::int64_t weights = 0;
  std::set<model::Site> sites;
  for (const model::LinearInfo& linear : scene.model->block_linears(0)) {
    weights += linear.rows * linear.columns;
    if (sites.insert(linear.site).second)
      squares += static_cast<double>(linear.columns * linear.columns);
  }
  // Of two ranks, one passes its sum on and is told the result.
  const RankCosts two = rank_costs(scene.question(), kUnit, 2);
  EXPECT_EQ(two.sum_bytes, static_cast<std::int64_t>(2.0 * 4.0 * squares));
  EXPECT_EQ(two.result_bytes, 4 * weights);
  // Of eight, 7 pass it on and 7 are told; 16 of 32 have lanes.
  EXPECT_EQ(rank_costs(scene.question(), kUnit, 8).sum_bytes,
            static_cast<std::int64_t>((7.0 + 7.0) * 4.0 * squares));
  EXPECT_EQ(rank_costs(scene.question(), kUnit, 32).sum_bytes,
            static_cast<std::int64_t>((15.0 + 31.0) * 4.0 * squares));
}

TEST(RankCosts, RanksShareTheRowsOfALinearThatIsAloneAtItsSite) {
  const Scene scene;
  CostQuestion asked = scene.question();
  asked.true_sequential = true;
  const double by_linears = stage(rank_costs(asked, kUnit, 2), "OBS");
  const double alone = stage(rank_costs(asked, kUnit, 1), "OBS");
  asked.product_rows = 1;
  asked.row_bytes = 7;
  EXPECT_EQ(stage(rank_costs(asked, kUnit, 1), "OBS"), alone);
  EXPECT_LT(stage(rank_costs(asked, kUnit, 2), "OBS"), by_linears);
  std::int64_t bytes = 0;
  for (const model::LinearInfo& linear : scene.model->block_linears(0)) {
    const bool single =
        linear.site == model::Site::kAttentionOut || linear.site == model::Site::kMlpOut;
    bytes += (single ? 7 : 4) * linear.rows * linear.columns;
  }
  EXPECT_EQ(rank_costs(asked, kUnit, 2).result_bytes, bytes);
}

TEST(RankCosts, RanksThatShareRowsFactorEverySite) {
  const Scene scene;
  CostQuestion asked = scene.question();
  asked.product_rows = 1;
  double expected = 0.0;
  std::set<model::Site> sites;
  for (const model::LinearInfo& linear : scene.model->block_linears(0)) {
    const auto columns = static_cast<double>(linear.columns);
    if (sites.insert(linear.site).second) expected += 4.0 / 3.0 * columns * columns * columns;
    expected += 4.0 * static_cast<double>((linear.rows + 7) / 8) * columns * columns;
  }
  const auto layers = static_cast<double>(scene.model->spec().layers);
  EXPECT_DOUBLE_EQ(stage(rank_costs(asked, kUnit, 8), "OBS"), layers * expected);
}

TEST(RankCosts, MoreRanksThanLanesShareNoMoreWindows) {
  const Scene scene;
  EXPECT_DOUBLE_EQ(stage(rank_costs(scene.question(), kUnit, 16), "forward"),
                   stage(rank_costs(scene.question(), kUnit, 64), "forward"));
}

TEST(RankCosts, EveryColumnOfASweepTakesItsTime) {
  const Scene scene;
  double columns = 0.0;
  for (const model::LinearInfo& linear : scene.model->block_linears(0)) {
    columns += static_cast<double>(linear.columns);
  }
  Rates slow = kUnit;
  slow.column = 1e9;
  const double without = stage(rank_costs(scene.question(), kUnit, 1), "OBS");
  const double with = stage(rank_costs(scene.question(), slow, 1), "OBS");
  const double layers = static_cast<double>(scene.model->spec().layers);
  EXPECT_DOUBLE_EQ(with, without + layers * columns * 1e9);
}

TEST(RankCosts, RatesOfThisMachineAreMeasured) {
  const Rates rates = measured_rates(torch::kFloat32);
  EXPECT_GT(rates.wide, 1e8);
  EXPECT_EQ(rates.walk, rates.wide);
}

}  // namespace
}  // namespace sgpt_mi::costs
