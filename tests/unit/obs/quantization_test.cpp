#include <gtest/gtest.h>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"
#include "support/random_tensor.h"

// Quantization inside the sweep: grids, groups, column order.
namespace sgpt_mi::obs {
namespace {

CompressOptions four_bits() {
  CompressOptions options;
  options.wbits = 4;
  return options;
}

/// The values that scale, zero point, groups and codes of a result stand for.
torch::Tensor decoded(const CompressedMatrix& matrix) {
  const torch::Tensor scale = matrix.scale.index_select(1, matrix.group_of_column);
  const torch::Tensor zero = matrix.zero_point.index_select(1, matrix.group_of_column);
  return scale * (matrix.codes.to(torch::kFloat32) - zero);
}

/// Groups of 16 of 48 columns, each fitted to the untouched weights.
quant::Grid grid_of_groups(const torch::Tensor& weight) {
  quant::GridOptions options;
  options.groupsize = 16;
  return quant::find_grid(weight, options);
}

TEST(Quantization, WithoutCorrelationIsRounding) {
  const torch::Tensor weight = test::normal(11, 150, 1);
  const torch::Tensor moments = test::normal(1, 150, 2)[0].square() + 0.1;
  const CompressResult result = compress_sparsegpt(weight, moments.diag(), four_bits(), "fc1");
  const quant::Grid grid = quant::find_grid(weight, {});
  const torch::Tensor codes = quant::quantize(weight, grid);
  EXPECT_TRUE(result.matrix.codes.equal(codes));
  EXPECT_TRUE(result.matrix.weight.equal(quant::dequantize(codes, grid)));
  const double damping = 0.01 * moments.mean().item<double>();
  const double loss = ((result.matrix.weight - weight).square() * (moments + damping) / 2.0)
                          .sum(torch::kFloat64)
                          .item<double>();
  EXPECT_NEAR(result.loss, loss, 1e-5 * loss);
}

TEST(Quantization, ResultsDecodeToTheWeights) {
  const torch::Tensor weight = test::normal(7, 48, 3);
  const torch::Tensor hessian = test::correlated_hessian(48, 200, 4);
  for (int variant = 0; variant < 64; ++variant) {
    CompressOptions options;
    options.wbits = 2 + variant % 7;
    options.symmetric = (variant & 1) != 0;
    options.mse = (variant & 2) != 0;
    options.act_order = (variant & 4) != 0;
    options.static_groups = (variant & 8) != 0;
    options.groupsize = (variant & 16) != 0 ? 14 : -1;  // 14, 14, 14 and 6
    options.sparsity = (variant & 32) != 0 ? 0.4 : 0.0;
    options.blocksize = 20;
    SCOPED_TRACE(testing::Message() << "variant " << variant);
    const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
    const CompressedMatrix& matrix = result.matrix;
    EXPECT_TRUE(matrix.weight.equal(decoded(matrix)));
    EXPECT_LE(matrix.codes.max().item<int>(), (1 << options.wbits) - 1);
    EXPECT_TRUE(matrix.weight.masked_select(matrix.pruned).eq(0).all().item<bool>());
    EXPECT_EQ(matrix.scale.size(1), options.groupsize == -1 ? 1 : 4);
    EXPECT_EQ(matrix.bits_of_group,
              std::vector<int>(static_cast<std::size_t>(matrix.scale.size(1)), options.wbits));
    EXPECT_LT(result.output_error, result.output_energy);
  }
}

TEST(Quantization, AnEmptyMaskPrunesNothing) {
  const CompressResult result = compress_sparsegpt(
      test::normal(5, 130, 5), test::correlated_hessian(130, 400, 6), four_bits(), "fc1");
  EXPECT_FALSE(result.matrix.pruned.any().item<bool>());
}

TEST(Quantization, WiderCodesLoseLess) {
  const torch::Tensor weight = test::normal(16, 96, 7);
  const torch::Tensor hessian = test::correlated_hessian(96, 300, 8);
  double previous = HUGE_VAL;
  for (int bits = 2; bits <= 8; ++bits) {
    CompressOptions options;
    options.wbits = bits;
    const double error = compress_sparsegpt(weight, hessian, options, "fc1").output_error;
    EXPECT_LT(error, 0.6 * previous) << bits;
    previous = error;
  }
}

TEST(Quantization, ActOrderIsASweepOverSortedColumns) {
  const torch::Tensor weight = test::normal(9, 60, 9);
  const torch::Tensor hessian = test::correlated_hessian(60, 200, 10);
  const torch::Tensor order = at::argsort(hessian.diagonal(), 0, /*descending=*/true);
  CompressOptions options = four_bits();
  const torch::Tensor sorted =
      compress_sparsegpt(weight.index_select(1, order),
                         hessian.index_select(0, order).index_select(1, order), options, "fc1")
          .matrix.codes;
  options.act_order = true;
  const torch::Tensor codes = compress_sparsegpt(weight, hessian, options, "fc1").matrix.codes;
  EXPECT_TRUE(codes.index_select(1, order).equal(sorted));
}

TEST(Quantization, StaticGroupsAreOfTheOriginalColumns) {
  const torch::Tensor weight = test::normal(9, 48, 11);
  CompressOptions options = four_bits();
  options.groupsize = 16;
  options.static_groups = true;
  options.act_order = true;
  const CompressResult result =
      compress_sparsegpt(weight, test::correlated_hessian(48, 200, 12), options, "fc1");
  const quant::Grid grid = grid_of_groups(weight);
  EXPECT_TRUE(result.matrix.scale.equal(grid.scale));
  EXPECT_TRUE(result.matrix.group_of_column.equal(grid.group_of_column));
}

TEST(Quantization, GroupsFollowTheUpdatedWeights) {
  const torch::Tensor weight = test::normal(9, 48, 13);
  CompressOptions options = four_bits();
  options.groupsize = 16;
  options.blocksize = 40;  // the third group lies in two blocks
  const quant::Grid untouched = grid_of_groups(weight);
  const CompressResult loose = compress_sparsegpt(weight, at::eye(48), options, "fc1");
  EXPECT_TRUE(loose.matrix.scale.equal(untouched.scale))
      << "nothing is updated without correlation";
  const CompressResult tight =
      compress_sparsegpt(weight, test::correlated_hessian(48, 200, 14), options, "fc1");
  EXPECT_TRUE(tight.matrix.scale.select(1, 0).equal(untouched.scale.select(1, 0)));
  EXPECT_FALSE(tight.matrix.scale.select(1, 1).equal(untouched.scale.select(1, 1)));
}

TEST(Quantization, BlocksOfAnySizeGiveTheSameCodes) {
  const torch::Tensor weight = test::normal(12, 48, 15);
  const torch::Tensor hessian = test::correlated_hessian(48, 200, 16);
  for (const std::int64_t groupsize : {-1, 8, 16}) {
    CompressOptions options = four_bits();
    options.groupsize = groupsize;
    const torch::Tensor whole = compress_sparsegpt(weight, hessian, options, "fc1").matrix.codes;
    for (const std::int64_t blocksize : {1, 7, 16, 40}) {
      options.blocksize = blocksize;
      const torch::Tensor codes = compress_sparsegpt(weight, hessian, options, "fc1").matrix.codes;
      // Other blocks sum in another order, and a weight at a rounding border may tip over.
      EXPECT_LE(codes.ne(whole).sum().item<int>(), 6) << groupsize << " in " << blocksize;
    }
  }
}

TEST(Quantization, PatternsAndGridsGoTogether) {
  const torch::Tensor weight = test::normal(10, 48, 17);
  const torch::Tensor hessian = test::correlated_hessian(48, 200, 18);
  CompressOptions options = four_bits();
  options.prune_n = 2;
  options.prune_m = 4;
  options.groupsize = 8;
  for (const bool fixed : {false, true}) {
    options.static_groups = fixed;
    const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
    EXPECT_TRUE(result.matrix.pruned.reshape({10, 12, 4}).sum(2).eq(2).all().item<bool>());
    EXPECT_TRUE(result.matrix.weight.equal(decoded(result.matrix)));
  }
}

}  // namespace
}  // namespace sgpt_mi::obs
