#include "sgpt_mi/widths/stored_cost.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <random>

#include "compress/coded_copy.h"
#include "sgpt_mi/packing/packed_size.h"
#include "support/random_tensor.h"

namespace sgpt_mi::widths {
namespace {

constexpr std::int64_t kRows = 48;
constexpr std::int64_t kColumns = 60;

/// Units of `count` groups with random labels, or single channels for 0.
LinearUnits random_units(std::int64_t count, std::mt19937& random) {
  LinearUnits units;
  units.rows = kRows;
  units.single_channels = count == 0;
  const auto total = static_cast<std::int32_t>(count == 0 ? kColumns : count);
  for (std::int32_t j = 0; j < kColumns; ++j) {
    // The first columns make sure that no unit is empty.
    const bool random_label = count > 0 && j >= total;
    units.unit_of_channel.push_back(
        random_label ? static_cast<std::int32_t>(random() % static_cast<unsigned>(total)) : j);
    units.channel_score.push_back(1.0);
  }
  std::vector<std::int64_t> columns(static_cast<std::size_t>(total), 0);
  for (const std::int32_t unit : units.unit_of_channel) ++columns[static_cast<std::size_t>(unit)];
  for (const std::int64_t size : columns) units.units.push_back({kRows * size, 1.0});
  return units;
}

std::int64_t packed_bits(const obs::CompressResult& result, const obs::CompressOptions& options) {
  const compress::CodedCopy coded(result.matrix, result.matrix.weight.to(torch::kFloat16), options,
                                  DType::kF16, /*entropy=*/false);
  return 8 * packing::predict_packed_size(packing::packed_shape(coded.view())).total();
}

// The allocator must never count less than what is written, and little more, for every way to share
// grids, every mask, groups and single channels.
TEST(StoredCost, BoundsThePackedSizeFromAboveClosely) {
  std::mt19937 random(1);
  const torch::Tensor weight = test::normal(kRows, kColumns, 1);
  const torch::Tensor hessian = test::correlated_hessian(kColumns, 300, 2);
  const std::vector<int> levels{2, 3, 4, 6, 8};
  for (int trial = 0; trial < 90; ++trial) {
    obs::CompressOptions options;
    options.stored_scales = true;
    if (trial % 3 == 1) options.sparsity = 0.6;
    if (trial % 3 == 2) options.prune_n = 2, options.prune_m = 4;
    WidthOptions widths;
    widths.sharing = static_cast<quant::GridSharing>(trial / 3 % 3);
    const LinearUnits units = random_units(trial / 9 % 2 == 0 ? 7 : 0, random);
    std::vector<int> bits;
    for (std::size_t u = 0; u < units.units.size(); ++u) bits.push_back(levels[random() % 5]);
    options.groups = column_groups(units, bits, widths.sharing);
    const obs::CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");

    const std::int64_t budget = kRows * kColumns * 4;
    const StoredCost cost =
        stored_cost(stored_linear(units, options, result.matrix.pruned), widths, options, budget);
    std::int64_t counted = cost.fixed_bits;
    for (std::size_t u = 0; u < bits.size(); ++u) counted += cost.width_cost(u, bits[u]);
    const std::int64_t written = packed_bits(result, options);
    EXPECT_GE(counted, written) << "trial " << trial;
    // Padding to bytes, one bit a unit from rounding up, and grids of widths that nobody got.
    const std::int64_t unused_grids =
        units.single_channels && widths.sharing == quant::GridSharing::kRowGroup
            ? kRows * (5 * 16 + 23)
            : 200;
    EXPECT_LE(counted - written, 8 * 14 + 8 * kColumns + unused_grids) << "trial " << trial;
  }
}

TEST(StoredCost, NominalLinearHasAllColumnsAndTheMasksShare) {
  obs::CompressOptions options;
  options.prune_n = 1;
  options.prune_m = 4;
  const StoredLinear linear = nominal_linear(8, 62, 4, options);
  std::int64_t columns = 0;
  for (const std::int64_t size : linear.unit_columns) columns += size;
  EXPECT_EQ(columns, 62);
  EXPECT_EQ(linear.unit_columns.size(), 4U);
  for (const double kept : linear.unit_kept) EXPECT_DOUBLE_EQ(kept, 0.75);
  EXPECT_EQ(nominal_linear(8, 62, 0, options).unit_columns.size(), 62U);
}

}  // namespace
}  // namespace sgpt_mi::widths
