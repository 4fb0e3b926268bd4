#include "sgpt_mi/widths/width_plan.h"

#include <gtest/gtest.h>

namespace sgpt_mi::widths {
namespace {

torch::Tensor doubles(std::vector<double> values) { return torch::tensor(values, torch::kFloat64); }

widths::ChannelMoments moments() {
  return {doubles({1.0, 1.0, 4.0, 4.0}), doubles({1.0, 1.0, 16.0, 16.0}),
          doubles({1.0, 1.0, 1.0, 1.0}), doubles({1.0, 1.0, 1.0, 1.0})};
}

const torch::Tensor kWeight = torch::tensor({{1.0F, 2.0F, 1.0F, 2.0F}, {3.0F, 2.0F, 3.0F, 2.0F}});

/// Only mean |x| counts: 0.4, 0.4, 1.6, 1.6.
WidthOptions by_activation() {
  WidthOptions options;
  options.importance = {1.0, 0.0, 0.0, 0.0, 0.0};
  return options;
}

TEST(ScoreUnits, GroupsCountTheirMeanLessTheirRedundancy) {
  SiteGroups groups;
  groups.labels = {0, 1, 1, 0};
  groups.groups = 2;
  groups.mean_affinity = {0.25, 0.5};
  const LinearUnits units = score_units(kWeight, groups, moments(), by_activation());
  ASSERT_EQ(units.units.size(), 2U);
  EXPECT_EQ(units.units[0].weights, 4);
  EXPECT_DOUBLE_EQ(units.units[0].importance, 1.0 * 0.75);
  EXPECT_DOUBLE_EQ(units.units[1].importance, 1.0 * 0.5);
  EXPECT_FALSE(units.single_channels);
}

TEST(ScoreUnits, WithoutGroupsEveryChannelIsAUnit) {
  const LinearUnits units = score_units(kWeight, {}, moments(), by_activation());
  ASSERT_EQ(units.units.size(), 4U);
  EXPECT_TRUE(units.single_channels);
  EXPECT_DOUBLE_EQ(units.units[0].importance, 0.4);
  EXPECT_DOUBLE_EQ(units.units[3].importance, 1.6);
  EXPECT_EQ(units.units[3].weights, 2);
}

TEST(PlanWidths, ImportantChannelsGetMore) {
  WidthOptions options = by_activation();
  const LinearUnits units = score_units(kWeight, {}, moments(), options);
  const alloc::BitPlan plan = plan_widths(units.units, options, {4 * 7, 0, {}});  // 3.5 bits
  EXPECT_LE(plan.average_bits, 3.5);
  EXPECT_GT(plan.bits[2] + plan.bits[3], plan.bits[0] + plan.bits[1]);
}

TEST(PlanWidths, ThresholdsIgnoreTheTarget) {
  WidthOptions options = by_activation();
  options.allocation = BitAllocation::kThreshold;
  options.thresholds = alloc::importance_thresholds();
  const LinearUnits units = score_units(kWeight, {}, moments(), options);
  const alloc::BitPlan plan = plan_widths(units.units, options, {8, 0, {}});
  EXPECT_EQ(plan.bits, (std::vector<int>{8, 8, 8, 8}));
}

TEST(ColumnGroupsOfUnits, SingleChannelsShareByWidth) {
  LinearUnits units;
  units.unit_of_channel = {0, 1, 2, 3};
  units.single_channels = true;
  const quant::ColumnGroups groups =
      column_groups(units, {4, 2, 4, 8}, quant::GridSharing::kRowGroup);
  EXPECT_EQ(groups.bits_of_group, (std::vector<int>{2, 4, 8}));
  EXPECT_EQ(groups.group_of_column, (std::vector<std::int32_t>{1, 0, 1, 2}));
}

TEST(ColumnGroupsOfUnits, GroupsKeepTheirOwnGridsAtEqualWidths) {
  LinearUnits units;
  units.unit_of_channel = {1, 0, 1, 2};
  const quant::ColumnGroups groups = column_groups(units, {4, 4, 3}, quant::GridSharing::kGroup);
  EXPECT_EQ(groups.bits_of_group, (std::vector<int>{4, 4, 3}));
  EXPECT_EQ(groups.group_of_column, units.unit_of_channel);
  EXPECT_EQ(groups.sharing, quant::GridSharing::kGroup);
}

}  // namespace
}  // namespace sgpt_mi::widths
