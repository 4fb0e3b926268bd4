#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"
#include "support/random_tensor.h"

// What happens with second moments and weights that are not in order.
namespace sgpt_mi::obs {
namespace {

CompressOptions half_pruned() {
  CompressOptions options;
  options.sparsity = 0.5;
  return options;
}

/// Two channels of second moment 1 whose product sum is `off`: eigenvalues 1 - off and 1 + off.
torch::Tensor pair_hessian(double off) {
  torch::Tensor hessian = at::ones({2, 2});
  hessian[0][1] = off;
  hessian[1][0] = off;
  return hessian;
}

std::string error_text(const torch::Tensor& weight, const torch::Tensor& hessian) {
  try {
    static_cast<void>(compress_sparsegpt(weight, hessian, half_pruned(), "layers.3.fc2"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    return error.what();
  }
  return "";
}

TEST(Damping, GrowsUntilTheFactorisationSucceeds) {
  // The smallest eigenvalue is -0.03 of the mean diagonal.
  const CompressResult result =
      compress_sparsegpt(at::ones({1, 2}), pair_hessian(1.03), half_pruned(), "fc1");
  ASSERT_EQ(result.damping.size(), 3U);
  EXPECT_DOUBLE_EQ(result.damping[0].percdamp, 0.01);
  EXPECT_DOUBLE_EQ(result.damping[1].percdamp, 0.02);
  EXPECT_DOUBLE_EQ(result.damping[2].percdamp, 0.05);
  EXPECT_FALSE(result.damping[1].succeeded);
  EXPECT_EQ(result.damping[1].residual, 0.0);
  EXPECT_TRUE(result.damping[2].succeeded);
  EXPECT_FALSE(result.damping[2].float64);
}

TEST(Damping, GoesToDoublePrecisionWhenSinglePrecisionIsNotEnough) {
  // 1 - 1e-9 is 1 in float32, but then the smallest pivot, 1e-10 of damping, is lost as well; in
  // float64 it is there.
  CompressOptions options = half_pruned();
  options.percdamp = 1e-10;
  torch::Tensor hessian = pair_hessian(1.0) * 1.0;
  const CompressResult result = compress_sparsegpt(at::ones({1, 2}), hessian, options, "fc1");
  EXPECT_FALSE(result.damping[0].succeeded);
  EXPECT_TRUE(result.damping.back().succeeded);
  EXPECT_GT(result.damping.back().percdamp, 1e-8) << "float32 needs a damping that it can add to 1";
}

TEST(Damping, NamesTheLayerWhenAllTriesFail) {
  const std::string text = error_text(at::ones({1, 2}), pair_hessian(5.0));
  EXPECT_THAT(text, testing::HasSubstr("layers.3.fc2"));
  EXPECT_THAT(text, testing::HasSubstr("14 tries"));  // 0.01 .02 .05 .1 .2 .5 1 in two precisions
}

TEST(Damping, RankDeficientMomentsAreFineAtOnce) {
  const torch::Tensor hessian = test::correlated_hessian(96, 10, 1);  // 10 tokens, 96 channels
  const CompressResult result =
      compress_sparsegpt(test::normal(16, 96, 2), hessian, half_pruned(), "fc1");
  EXPECT_EQ(result.damping.size(), 1U);
  EXPECT_TRUE(result.matrix.weight.isfinite().all().item<bool>());
  EXPECT_LT(result.output_error, 0.1 * result.output_energy);
}

TEST(DeadChannels, AreZeroedAndCounted) {
  torch::Tensor hessian = test::correlated_hessian(20, 100, 3);
  for (const std::int64_t dead : {4, 11}) {
    hessian.select(0, dead).fill_(0.0);
    hessian.select(1, dead).fill_(0.0);
  }
  torch::Tensor weight = test::normal(6, 20, 4);
  weight[0][4] = 100.0;
  CompressOptions options;
  options.wbits = 4;
  const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc2");
  EXPECT_EQ(result.dead_channels, 2);
  EXPECT_TRUE(result.matrix.weight.select(1, 4).eq(0).all().item<bool>());
  EXPECT_TRUE(result.matrix.weight.select(1, 11).eq(0).all().item<bool>());
  EXPECT_GT(result.matrix.scale[0][0].item<float>(), 100.0F / 15.0F)
      << "the grid is that of the dense row, dead columns included";
}

TEST(NotFinite, IsNamedWithItsPlace) {
  torch::Tensor weight = at::ones({3, 2});
  weight[2][1] = std::numeric_limits<float>::infinity();
  const std::string text = error_text(weight, pair_hessian(0.5));
  EXPECT_THAT(text, testing::HasSubstr("the weight of layers.3.fc2 is inf at row 2, column 1"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_text(at::ones({3, 2}), pair_hessian(nan)),
              testing::HasSubstr("second moment H of layers.3.fc2 is nan at row 0, column 1"));
}

TEST(NotFinite, ResultsAreRefused) {
  // The row's range overflows float32, so its scale is infinite.
  torch::Tensor weight = at::ones({1, 2}) * 3e38;
  weight[0][1] *= -1.0;
  CompressOptions options;
  options.wbits = 4;
  try {
    static_cast<void>(compress_sparsegpt(weight, pair_hessian(0.0), options, "fc1"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    EXPECT_THAT(error.what(), testing::HasSubstr("compressed weights of fc1 are not finite"));
  }
}

}  // namespace
}  // namespace sgpt_mi::obs
