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
  for (const bool mse : {false, true}) {
    GridOptions request = options(3);
    request.mse = mse;
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
  request.mse = true;
  const Grid clipped = find_grid(weight, request);
  const auto error = [&](const Grid& grid) {
    return (dequantize(quantize(weight, grid), grid) - weight).abs().pow(2.4).sum(1);
  };
  EXPECT_TRUE((error(clipped) <= error(plain)).all().item<bool>());
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
  EXPECT_THAT(text(options(4, 4)), testing::HasSubstr("6 columns"));
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
