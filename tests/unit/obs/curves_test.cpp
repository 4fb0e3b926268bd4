#include "sgpt_mi/obs/curves.h"

#include <gtest/gtest.h>

#include <numeric>

#include "obs/measures.h"
#include "support/random_tensor.h"
#include "weighed_layer.h"

namespace sgpt_mi::obs {
namespace {

TEST(MeasurePruning, DamageIsThatOfTheWeightsAndGrows) {
  const Layer layer;
  const PruneCurve curve =
      measure_pruning(layer.weight, layer.curve(), {0.3, 0.4, 0.5, 0.6, 0.7}, 2);
  ASSERT_EQ(curve.levels.size(), 5U);
  for (std::size_t i = 0; i < curve.levels.size(); ++i) {
    EXPECT_NEAR(curve.levels[i].sparsity, 0.3 + 0.1 * static_cast<double>(i), 0.03);
    if (i > 0) {
      EXPECT_GT(curve.levels[i].damage, curve.levels[i - 1].damage);
    }
  }
  EXPECT_NEAR(curve.levels[2].damage, layer.damage(curve.weight),
              1e-3 * layer.damage(curve.weight));
  EXPECT_TRUE(curve.weight.eq(0).equal(curve.pruned));
}

TEST(MeasurePruning, APatternIsOneLevel) {
  Layer layer;
  layer.options.prune_n = 2;
  layer.options.prune_m = 4;
  const PruneCurve curve = measure_pruning(layer.weight, layer.curve(), {0.5}, 0);
  ASSERT_EQ(curve.levels.size(), 1U);
  EXPECT_EQ(curve.levels[0].sparsity, 0.5);
  EXPECT_NEAR(curve.levels[0].damage, layer.damage(curve.weight),
              1e-3 * layer.damage(curve.weight));
}

TEST(MeasureWidth, GroupsAddUpToTheDamageOfTheSweep) {
  Layer layer;
  layer.options.wbits = 3;
  const torch::Tensor pruned = at::zeros({kRows, kColumns}, torch::kBool);
  quant::ColumnGroups groups;
  for (std::int64_t j = 0; j < kColumns; ++j) {
    groups.group_of_column.push_back(static_cast<std::int32_t>(j < 40 ? 0 : 1));
  }
  groups.bits_of_group = {3, 3};
  const std::vector<double> damage = measure_width(layer.weight, pruned, layer.curve(), groups);
  // The same sweep with the same grids, and its error by the definition.
  CompressOptions options = layer.options;
  options.groups = groups;
  options.refine.weighted_clip = true;
  const CompressResult same = compress_sparsegpt(layer.weight, layer.input, options, "fc1");
  ASSERT_EQ(damage.size(), 2U);
  EXPECT_NEAR(damage[0] + damage[1], layer.damage(same.matrix.weight),
              1e-3 * layer.damage(same.matrix.weight));
  EXPECT_GT(damage[0], 0.0);
}

TEST(MeasureWidth, MoreBitsDoLessDamage) {
  Layer layer;
  layer.options.wbits = 3;
  const PruneCurve pruned = measure_pruning(layer.weight, layer.curve(), {0.5}, 0);
  double before = 0.0;
  for (const int bits : {8, 6, 4, 3, 2}) {
    const quant::ColumnGroups groups{
        std::vector<std::int32_t>(static_cast<std::size_t>(kColumns), 0),
        {bits},
        quant::GridSharing::kRowGroup};
    const double damage =
        measure_width(pruned.weight, pruned.pruned, layer.curve(), groups).front();
    EXPECT_GT(damage, before) << bits;
    before = damage;
  }
}

TEST(QuadraticTrace, EqualsTheFormulaAcrossPanels) {
  constexpr std::int64_t kChannels = 1100;
  const torch::Tensor hessian = test::correlated_hessian(kChannels, 1200, 2);
  const torch::Tensor matrix = test::normal(7, kChannels, 3);
  const torch::Tensor wide = matrix.to(torch::kFloat64);
  const double exact = wide.matmul(hessian.to(torch::kFloat64)).mul(wide).sum().item<double>();
  EXPECT_NEAR(quadratic_trace(matrix, hessian), exact, 1e-5 * exact);
}

}  // namespace
}  // namespace sgpt_mi::obs
