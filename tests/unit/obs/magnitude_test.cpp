#include <gtest/gtest.h>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"
#include "support/random_tensor.h"

namespace sgpt_mi::obs {
namespace {

TEST(Magnitude, PrunesTheSmallestOfTheWholeMatrix) {
  const torch::Tensor weight = test::normal(10, 300, 1);
  CompressOptions options;
  options.sparsity = 0.25;
  const CompressResult result =
      compress_magnitude(weight, test::correlated_hessian(300, 400, 2), options, "fc1");
  EXPECT_EQ(result.matrix.pruned.sum().item<int>(), 751);  // the threshold itself falls too
  EXPECT_TRUE(result.matrix.weight.equal(weight.masked_fill(result.matrix.pruned, 0.0)));
  EXPECT_DOUBLE_EQ(result.loss, result.output_error / 2.0);
  EXPECT_TRUE(result.damping.empty());
}

TEST(Magnitude, PrunesNOfEveryMTheLeftmostOfEqualOnes) {
  CompressOptions options;
  options.prune_n = 2;
  options.prune_m = 4;
  const CompressResult result = compress_magnitude(at::ones({3, 8}), at::eye(8), options, "fc1");
  for (std::int64_t j = 0; j < 8; ++j) {
    EXPECT_EQ(result.matrix.pruned[1][j].item<bool>(), j % 4 < 2) << j;
  }
  EXPECT_EQ(result.output_error, 12.0);
  EXPECT_EQ(result.output_energy, 24.0);
}

TEST(Magnitude, RoundsTheRestOnTheDenseGrid) {
  const torch::Tensor weight = test::normal(6, 64, 3);
  CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = 3;
  options.groupsize = 32;
  const CompressResult result = compress_magnitude(weight, at::eye(64), options, "fc1");
  quant::GridOptions grid_options;
  grid_options.bits = 3;
  grid_options.groupsize = 32;
  const quant::Grid grid = quant::find_grid(weight, grid_options);
  EXPECT_TRUE(result.matrix.scale.equal(grid.scale));
  EXPECT_TRUE(result.matrix.weight.equal(quant::dequantize(quant::quantize(weight, grid), grid)
                                             .masked_fill(result.matrix.pruned, 0.0)));
}

}  // namespace
}  // namespace sgpt_mi::obs
