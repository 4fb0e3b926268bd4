#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"
#include "support/random_tensor.h"

// Columns in groups of their own widths.
namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kRows = 6;
constexpr std::int64_t kColumns = 40;

/// Column j is in group j % 3; widths 2, 4 and 8.
quant::ColumnGroups three_groups(quant::GridSharing sharing) {
  quant::ColumnGroups groups;
  for (std::int32_t j = 0; j < kColumns; ++j) groups.group_of_column.push_back(j % 3);
  groups.bits_of_group = {2, 4, 8};
  groups.sharing = sharing;
  return groups;
}

torch::Tensor decoded(const CompressedMatrix& matrix) {
  const torch::Tensor scale = matrix.scale.index_select(1, matrix.group_of_column);
  const torch::Tensor zero = matrix.zero_point.index_select(1, matrix.group_of_column);
  return scale * (matrix.codes.to(torch::kFloat32) - zero);
}

class ColumnGroups : public testing::TestWithParam<quant::GridSharing> {};

TEST_P(ColumnGroups, CodesStayInTheirWidthAndDecodeToTheWeights) {
  const torch::Tensor weight = test::normal(kRows, kColumns, 1);
  const torch::Tensor hessian = test::correlated_hessian(kColumns, 200, 2);
  for (const bool act_order : {false, true}) {
    CompressOptions options;
    options.sparsity = 0.4;
    options.act_order = act_order;
    options.groups = three_groups(GetParam());
    const CompressedMatrix matrix = compress_sparsegpt(weight, hessian, options, "fc1").matrix;
    EXPECT_TRUE(decoded(matrix).equal(matrix.weight));
    EXPECT_EQ(matrix.weight.masked_select(matrix.pruned).abs().sum().item<float>(), 0.0F);
    for (std::int64_t j = 0; j < kColumns; ++j) {
      const int bits = std::array{2, 4, 8}[static_cast<std::size_t>(j % 3)];
      EXPECT_LT(matrix.codes.select(1, j).max().item<int>(), 1 << bits) << "column " << j;
    }
  }
}

TEST_P(ColumnGroups, GridsCoverTheWeightsThatShareThem) {
  const torch::Tensor weight = test::normal(kRows, kColumns, 3);
  const quant::Grid grid = quant::find_grid(weight, three_groups(GetParam()), {});
  const torch::Tensor error =
      (quant::dequantize(quant::quantize(weight, grid), grid) - weight).abs();
  const torch::Tensor step = grid.scale.index_select(1, grid.group_of_column);
  // Half a step, and another half where rounding the zero point moved the range.
  EXPECT_TRUE(error.le(step * 1.001).all().item<bool>());
}

TEST_P(ColumnGroups, StoredScalesAreFloat16TimesAPowerOfTwo) {
  const torch::Tensor weight = test::normal(kRows, kColumns, 5) * 1e-4;
  CompressOptions options;
  options.groups = three_groups(GetParam());
  options.stored_scales = true;
  const CompressedMatrix matrix =
      compress_sparsegpt(weight, test::correlated_hessian(kColumns, 200, 6), options, "fc1").matrix;
  ASSERT_TRUE(matrix.scale_exponent.has_value());
  const torch::Tensor stored =
      matrix.scale.to(torch::kFloat64) * std::ldexp(1.0, -*matrix.scale_exponent);
  EXPECT_TRUE(stored.to(torch::kFloat16).to(torch::kFloat64).equal(stored));
  EXPECT_TRUE(decoded(matrix).equal(matrix.weight));
}

INSTANTIATE_TEST_SUITE_P(Sharing, ColumnGroups,
                         testing::Values(quant::GridSharing::kRowGroup, quant::GridSharing::kColumn,
                                         quant::GridSharing::kGroup));

TEST(ColumnGroupsShape, FollowsWhoShares) {
  const torch::Tensor weight = test::normal(kRows, kColumns, 7);
  const auto shape = [&](quant::GridSharing sharing) {
    return quant::find_grid(weight, three_groups(sharing), {}).scale.sizes().vec();
  };
  EXPECT_EQ(shape(quant::GridSharing::kRowGroup), (std::vector<std::int64_t>{kRows, 3}));
  EXPECT_EQ(shape(quant::GridSharing::kColumn), (std::vector<std::int64_t>{1, kColumns}));
  EXPECT_EQ(shape(quant::GridSharing::kGroup), (std::vector<std::int64_t>{1, 3}));
}

TEST(ColumnGroupsShape, OneGroupIsTheUniformGrid) {
  const torch::Tensor weight = test::normal(kRows, kColumns, 8);
  const torch::Tensor hessian = test::correlated_hessian(kColumns, 200, 9);
  CompressOptions uniform;
  uniform.wbits = 3;
  uniform.sparsity = 0.5;
  CompressOptions grouped;
  grouped.sparsity = 0.5;
  grouped.groups = quant::ColumnGroups{std::vector<std::int32_t>(kColumns, 0), {3}, {}};
  EXPECT_TRUE(
      compress_sparsegpt(weight, hessian, uniform, "fc1")
          .matrix.weight.equal(compress_sparsegpt(weight, hessian, grouped, "fc1").matrix.weight));
}

}  // namespace
}  // namespace sgpt_mi::obs
