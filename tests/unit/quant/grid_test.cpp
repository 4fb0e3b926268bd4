#include "sgpt_mi/quant/grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "support/random_tensor.h"

namespace sgpt_mi::quant {
namespace {

torch::Tensor matrix(std::initializer_list<float> values, std::int64_t rows) {
  return torch::Tensor(at::empty({static_cast<std::int64_t>(values.size())}, torch::kFloat32))
      .copy_(at::from_blob(const_cast<float*>(values.begin()),
                           {static_cast<std::int64_t>(values.size())}, torch::kFloat32))
      .reshape({rows, -1});
}

GridOptions options(int bits, std::int64_t groupsize = -1) {
  GridOptions result;
  result.bits = bits;
  result.groupsize = groupsize;
  return result;
}

TEST(Grid, RoundTripOfGridValuesIsExact) {
  const torch::Tensor weight = matrix({-1.0F, 0.0F, 0.5F, 2.0F, -2.0F, 5.5F, 0.0F, 3.0F}, 2);
  const Grid grid = find_grid(weight, options(4));  // scales 0.2 and 0.5
  const torch::Tensor codes = quantize(weight, grid);
  EXPECT_EQ(codes.scalar_type(), torch::kUInt8);
  EXPECT_EQ(codes[0][0].item<int>(), 0);
  EXPECT_EQ(codes[0][3].item<int>(), 15);
  EXPECT_TRUE(dequantize(codes, grid)[1].equal(weight[1]));
}

TEST(Grid, ErrorIsAtMostHalfAScaleInsideTheRange) {
  const torch::Tensor weight = test::normal(17, 96, 1);
  for (const int bits : {2, 3, 4, 5, 6, 7, 8}) {
    for (const bool symmetric : {false, true}) {
      GridOptions request = options(bits, 32);
      request.symmetric = symmetric;
      const Grid grid = find_grid(weight, request);
      const torch::Tensor error = dequantize(quantize(weight, grid), grid) - weight;
      const torch::Tensor scale = grid.scale.index_select(1, grid.group_of_column);
      // An asymmetric zero point is itself rounded, and the symmetric range ends one code short of
      // +max|w|: the ends may be off by another half or whole scale.
      const double bound = symmetric ? 1.0 : 1.0;
      EXPECT_LE((error.abs() / scale).max().item<double>(), bound + 1e-4) << bits;
      EXPECT_EQ(grid.bits_of_group, std::vector<int>(3, bits));
      EXPECT_EQ(grid.max_code[0].item<float>(), static_cast<float>((1 << bits) - 1));
    }
  }
}

TEST(Grid, ZeroIsAlwaysExact) {
  torch::Tensor weight = test::normal(9, 40, 2);
  weight[0].fill_(0.0);
  weight[1].abs_();
  weight[2].abs_().neg_();
  for (const ClipSearch clip : {ClipSearch::kNone, ClipSearch::kGptq, ClipSearch::kWide}) {
    GridOptions request = options(3);
    request.clip = clip;
    const Grid grid = find_grid(weight, request);
    const torch::Tensor zeros = at::zeros_like(weight);
    EXPECT_TRUE(dequantize(quantize(zeros, grid), grid).equal(zeros));
  }
}

TEST(Grid, GroupsAreNeighboursAndFittedAlone) {
  const torch::Tensor weight = test::normal(5, 12, 3);
  const Grid grid = find_grid(weight, options(4, 4));
  ASSERT_EQ(grid.scale.size(1), 3);
  EXPECT_EQ(grid.group_of_column[3].item<int>(), 0);
  EXPECT_EQ(grid.group_of_column[4].item<int>(), 1);
  const Grid alone = find_grid(weight.narrow(1, 4, 4).contiguous(), options(4));
  EXPECT_TRUE(grid.scale.narrow(1, 1, 1).equal(alone.scale));
  EXPECT_TRUE(grid.zero_point.narrow(1, 1, 1).equal(alone.zero_point));
}

TEST(Grid, TheLastGroupHasWhatIsLeft) {
  const torch::Tensor weight = test::normal(5, 14, 3);
  const Grid grid = find_grid(weight, options(4, 4));
  ASSERT_EQ(grid.scale.size(1), 4);
  EXPECT_EQ(grid.group_of_column[13].item<int>(), 3);
  const Grid alone = find_grid(weight.narrow(1, 12, 2).contiguous(), options(4));
  EXPECT_TRUE(grid.scale.narrow(1, 3, 1).equal(alone.scale));
  EXPECT_TRUE(grid.zero_point.narrow(1, 3, 1).equal(alone.zero_point));
  EXPECT_TRUE(find_grid(weight, options(4, 20)).scale.equal(find_grid(weight, options(4)).scale));
}

TEST(Grid, FitGroupTouchesItsGroupOnly) {
  const torch::Tensor weight = test::normal(5, 12, 4);
  Grid grid = make_grid(5, 12, options(4, 6), weight.device());
  fit_group(grid, 1, weight.narrow(1, 6, 6), options(4, 6));
  EXPECT_TRUE(grid.scale.select(1, 0).eq(1).all().item<bool>());
  EXPECT_TRUE(grid.scale.select(1, 1).equal(find_grid(weight, options(4, 6)).scale.select(1, 1)));
}

TEST(Grid, ClipSearchLowersTheError) {
  const torch::Tensor weight = test::normal(32, 128, 5);
  GridOptions request = options(3);
  const Grid plain = find_grid(weight, request);
  const auto error = [&](const Grid& grid) {
    return (dequantize(quantize(weight, grid), grid) - weight).abs().pow(2.4).sum(1);
  };
  for (const ClipSearch clip : {ClipSearch::kGptq, ClipSearch::kWide}) {
    request.clip = clip;
    const Grid clipped = find_grid(weight, request);
    EXPECT_TRUE((error(clipped) <= error(plain)).all().item<bool>());
    EXPECT_LT(error(clipped).sum().item<double>(), 0.9 * error(plain).sum().item<double>());
  }
}

TEST(Grid, ClipSearchesReachTheirNarrowestRanges) {
  // 2 bits, one weight of 4 or 30 and 40,000 of 1 or 2 that outweigh it.
  torch::Tensor weight = at::full({1, 40'001}, 1.0);
  weight[0][0] = 4.0;
  GridOptions request = options(2);
  const auto scale = [&](ClipSearch clip) {
    request.clip = clip;
    return find_grid(weight, request).scale.item<float>();
  };
  EXPECT_EQ(scale(ClipSearch::kNone), 4.0F / 3.0F);
  EXPECT_EQ(scale(ClipSearch::kGptq), 1.0F);  // share 0.75: 1 is a grid value
  EXPECT_EQ(scale(ClipSearch::kWide), 1.0F);
  weight.mul_(2.0);
  weight[0][0] = 30.0;  // a share of 0.2 would make 2 a grid value
  EXPECT_NEAR(scale(ClipSearch::kGptq), 2.1F, 1e-6F);
  EXPECT_NEAR(scale(ClipSearch::kWide), 2.25F, 1e-6F);
}

/// Three columns of 3 bits and three of 4, mixed.
ColumnGroups two_groups(GridSharing sharing) { return {{0, 1, 0, 1, 1, 0}, {3, 4}, sharing}; }

constexpr GridSharing kEverySharing[] = {GridSharing::kRowGroup, GridSharing::kColumn,
                                         GridSharing::kGroup};

TEST(GridEvidence, SurvivorsAloneDecideTheRange) {
  const torch::Tensor weight = matrix({-1.0F, 100.0F, 2.0F, -80.0F, 0.5F, 60.0F}, 1);
  const GridEvidence evidence{weight.abs().gt(50), {}};
  for (const ClipSearch clip : {ClipSearch::kNone, ClipSearch::kWide}) {
    GridOptions request = options(4);
    request.clip = clip;
    const Grid grid = find_grid(weight, request, evidence);
    const Grid expected = find_grid(matrix({-1.0F, 2.0F, 0.5F}, 1), request);
    EXPECT_TRUE(grid.scale.equal(expected.scale));
    EXPECT_TRUE(grid.zero_point.equal(expected.zero_point));
  }
  EXPECT_EQ(find_grid(weight, options(4), evidence).scale.item<float>(), 3.0F / 15.0F);
}

TEST(GridEvidence, PrunedWeightsHaveNoSayInAnyGroup) {
  const torch::Tensor weight = test::normal(5, 6, 8);
  const torch::Tensor pruned = test::normal(5, 6, 9).gt(0);
  const torch::Tensor wild = at::where(pruned, test::normal(5, 6, 10) * 1000.0, weight);
  const torch::Tensor zeros = weight.masked_fill(pruned, 0.0);
  GridOptions request = options(3, 3);
  request.clip = ClipSearch::kWide;
  const auto expect_same = [](const Grid& grid, const Grid& expected) {
    EXPECT_TRUE(grid.scale.equal(expected.scale));
    EXPECT_TRUE(grid.zero_point.equal(expected.zero_point));
  };
  expect_same(find_grid(wild, request, {pruned, {}}), find_grid(zeros, request));
  for (const GridSharing sharing : kEverySharing) {
    const ColumnGroups groups = two_groups(sharing);
    expect_same(find_grid(wild, groups, request, {pruned, {}}), find_grid(zeros, groups, request));
  }
}

TEST(GridEvidence, ARowOfPrunedWeightsGetsTheUnitRange) {
  const torch::Tensor weight = test::normal(2, 8, 11);
  torch::Tensor pruned = at::zeros({2, 8}, torch::kBool);
  pruned[1].fill_(true);
  GridOptions request = options(2);
  request.clip = ClipSearch::kWide;
  const Grid grid = find_grid(weight, request, {pruned, {}});
  EXPECT_EQ(grid.scale[1][0].item<float>(), 2.0F / 3.0F);
  EXPECT_EQ(grid.zero_point[1][0].item<float>(), 2.0F);
}

TEST(GridEvidence, AColumnWithoutWeightIsClipped) {
  // 2 bits. With no weight on the 6, the best ranges are those in which 1 is a grid value: 6 * 0.5
  // and 6 * 0.25, of which the wider one is taken.
  const torch::Tensor weight = matrix({0.0F, 1.0F, 6.0F}, 1);
  GridOptions request = options(2);
  request.clip = ClipSearch::kWide;
  EXPECT_GT(find_grid(weight, request).scale.item<float>(), 1.5F);
  const Grid grid = find_grid(weight, request, {{}, matrix({1.0F, 1.0F, 0.0F}, 1)[0]});
  EXPECT_EQ(grid.scale.item<float>(), 1.0F);
}

TEST(GridEvidence, ColumnWeightsLowerTheWeightedError) {
  const torch::Tensor weight = test::normal(40, 60, 12);
  const torch::Tensor column_weight = test::normal(1, 60, 13)[0].mul(2.0).exp();
  const GridEvidence evidence{{}, column_weight};
  const auto error = [&](const Grid& grid) {
    const torch::Tensor difference = dequantize(quantize(weight, grid), grid) - weight;
    return difference.abs().pow(2.4).mul(column_weight).sum(torch::kFloat64).item<double>();
  };
  ColumnGroups groups;
  for (std::int32_t j = 0; j < 60; ++j) groups.group_of_column.push_back(j * 7 % 3);
  groups.bits_of_group = {2, 3, 4};
  GridOptions request = options(3, 20);
  request.clip = ClipSearch::kWide;
  EXPECT_LT(error(find_grid(weight, request, evidence)), 0.99 * error(find_grid(weight, request)));
  for (const GridSharing sharing : {GridSharing::kRowGroup, GridSharing::kGroup}) {
    groups.sharing = sharing;
    EXPECT_LT(error(find_grid(weight, groups, request, evidence)),
              error(find_grid(weight, groups, request)))
        << static_cast<int>(sharing);
  }
}

TEST(GridEvidence, EqualColumnWeightsChangeNothing) {
  const torch::Tensor weight = test::normal(9, 6, 14);
  const GridEvidence ones{at::zeros({9, 6}, torch::kBool), at::ones({6})};
  GridOptions request = options(3, 3);
  request.clip = ClipSearch::kGptq;
  EXPECT_TRUE(find_grid(weight, request, ones).scale.equal(find_grid(weight, request).scale));
  for (const GridSharing sharing : kEverySharing) {
    const ColumnGroups groups = two_groups(sharing);
    EXPECT_TRUE(find_grid(weight, groups, request, ones)
                    .scale.equal(find_grid(weight, groups, request).scale));
  }
}

TEST(GridEvidence, OtherShapesAreRefused) {
  const torch::Tensor weight = test::normal(2, 6, 15);
  const ColumnGroups groups = two_groups(GridSharing::kGroup);
  for (const GridEvidence& evidence :
       {GridEvidence{at::zeros({2, 5}, torch::kBool), {}}, GridEvidence{at::zeros({2, 6}), {}},
        GridEvidence{{}, at::ones({5})}, GridEvidence{{}, at::ones({6}, torch::kFloat64)}}) {
    EXPECT_THROW(static_cast<void>(find_grid(weight, options(4), evidence)), Error);
    EXPECT_THROW(static_cast<void>(find_grid(weight, groups, options(4), evidence)), Error);
  }
}

TEST(ColumnsOfGroups, AreAscendingAndComplete) {
  const torch::Tensor labels = torch::tensor({2, 0, 2, 1, 0, 2, 4}, torch::kInt32);
  const std::vector<torch::Tensor> columns = columns_of_groups(labels, 5);
  ASSERT_EQ(columns.size(), 5U);
  EXPECT_TRUE(columns[0].equal(torch::tensor({1, 4}, torch::kInt64)));
  EXPECT_TRUE(columns[1].equal(torch::tensor({3}, torch::kInt64)));
  EXPECT_TRUE(columns[2].equal(torch::tensor({0, 2, 5}, torch::kInt64)));
  EXPECT_EQ(columns[3].numel(), 0);
  EXPECT_TRUE(columns[4].equal(torch::tensor({6}, torch::kInt64)));
}

TEST(ColumnsOfGroups, OfOneGroupAreAll) {
  const std::vector<torch::Tensor> columns = columns_of_groups(at::zeros({4}, torch::kInt32), 1);
  ASSERT_EQ(columns.size(), 1U);
  EXPECT_TRUE(columns[0].equal(at::arange(4)));
}

TEST(Grid, OptionsNameWhatIsWrong) {
  const auto text = [](const GridOptions& request) -> std::string {
    try {
      static_cast<void>(find_grid(at::zeros({2, 6}), request));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(text(options(9)), testing::HasSubstr("bits is 9"));
  EXPECT_THAT(text(options(1)), testing::HasSubstr("2 to 8"));
  EXPECT_THAT(text(options(4, 0)), testing::HasSubstr("groupsize is 0"));
  EXPECT_EQ(text(options(4, 4)), "") << "the last group is smaller";
}

TEST(TensorView, DescribesASliceOfColumns) {
  const torch::Tensor weight = test::normal(4, 10, 6);
  const auto view = view_of<const float>(weight.narrow(1, 3, 5));
  EXPECT_EQ(view.rows, 4);
  EXPECT_EQ(view.columns, 5);
  EXPECT_EQ(view.stride, 10);
  EXPECT_EQ(view.row(2)[1], weight[2][4].item<float>());
}

TEST(TensorView, RefusesOtherTypesAndLayouts) {
  const torch::Tensor weight = test::normal(4, 10, 7);
  EXPECT_THROW(static_cast<void>(view_of<bool>(weight)), Error);
  EXPECT_THROW(static_cast<void>(view_of<float>(weight.t())), Error);
  EXPECT_THROW(static_cast<void>(view_of<float>(weight[0])), Error);
}

}  // namespace
}  // namespace sgpt_mi::quant
