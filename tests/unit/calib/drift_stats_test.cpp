#include "sgpt_mi/calib/drift_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/bfloat16_product.h"
#include "support/random_tensor.h"

namespace sgpt_mi::calib {
namespace {

using testing::HasSubstr;

/// Sums of `left` (B, T, N) times `right` (B, T, M) over the tokens, one by one in double
/// precision.
torch::Tensor token_loop(const torch::Tensor& left, const torch::Tensor& right) {
  torch::Tensor sum = at::zeros({left.size(2), right.size(2)}, torch::kFloat64);
  for (std::int64_t b = 0; b < left.size(0); ++b) {
    for (std::int64_t t = 0; t < left.size(1); ++t) {
      sum += at::outer(left[b][t].to(torch::kFloat64), right[b][t].to(torch::kFloat64));
    }
  }
  return sum;
}

/// `sums` are float32 sums over the tokens of left times right.
void expect_products(const torch::Tensor& sums, const torch::Tensor& left,
                     const torch::Tensor& right) {
  ASSERT_EQ(sums.scalar_type(), torch::kFloat32);
  const auto tokens = static_cast<double>(left.size(0) * left.size(1));
  const torch::Tensor magnitude = token_loop(left.abs(), right.abs());
  const double tolerance =
      tokens * std::numeric_limits<float>::epsilon() * magnitude.max().item<double>();
  EXPECT_LE((sums - token_loop(left, right)).abs().max().item<double>(), tolerance);
}

/// Two batches of x and xd of the same shape.
struct Streams {
  torch::Tensor dense;
  torch::Tensor drifted;
};

Streams normal_streams(std::int64_t channels, std::uint64_t seed) {
  const torch::Tensor x = test::normal(2 * 20, channels, seed).reshape({2, 20, channels});
  const torch::Tensor noise = test::normal(2 * 20, channels, seed + 1).reshape({2, 20, channels});
  return {x + 0.1 * noise, x};
}

DriftStats drift_of(const Streams& x) {
  DriftAccumulator sums("fc1", x.drifted.size(2), torch::kCPU);
  for (std::int64_t i = 0; i < x.drifted.size(0); ++i) {
    sums.add(x.dense.narrow(0, i, 1), x.drifted.narrow(0, i, 1));
  }
  return sums.finish();
}

std::string error_text(const torch::Tensor& dense, const torch::Tensor& drifted) {
  try {
    DriftAccumulator("fc1", drifted.size(2), torch::kCPU).add(dense, drifted);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    return error.what();
  }
  return "";
}

TEST(DriftStats, OneTokenByHand) {
  DriftAccumulator sums("fc1", 2, torch::kCPU);
  const torch::Tensor x = at::tensor({3.0F, -2.0F}).reshape({1, 1, 2});
  const torch::Tensor dense = at::tensor({4.0F, 3.0F}).reshape({1, 1, 2});
  sums.add(dense, x);
  sums.add_residual(at::full({1, 1, 1}, 1.5F), at::full({1, 1, 1}, 1.0F), x);
  const DriftStats drift = sums.finish();  // xd - x is (1, 5), rd - r is 1/2
  EXPECT_TRUE(drift.cross_sum.equal(at::tensor({3.0F, -2.0F, 15.0F, -10.0F}).reshape({2, 2})));
  EXPECT_TRUE(drift.residual_sum.equal(at::tensor({1.5F, -1.0F}).reshape({1, 2})));
  EXPECT_EQ(drift.sequences, 1);
  EXPECT_EQ(drift.abs_sum, 6.0);
}

TEST(DriftStats, MatricesCountSequences) {
  const DriftStats drift = drift_of({at::full({4, 3, 1}, 3.0F), at::ones({4, 3, 1})});
  EXPECT_EQ(drift.cross()[0][0].item<float>(), 2.0F / 4.0F * 24.0F);
}

TEST(DriftStats, BatchesAddUp) {
  const Streams x = normal_streams(70, 1);
  const DriftStats drift = drift_of(x);
  const torch::Tensor difference = x.dense - x.drifted;
  expect_products(drift.cross_sum, difference, x.drifted);
  EXPECT_EQ(drift.sequences, 2);
  EXPECT_NEAR(drift.abs_sum, difference.abs().sum(torch::kFloat64).item<double>(), 1e-3);
  EXPECT_FALSE(drift.residual_sum.defined());
  EXPECT_FALSE(drift.residual().defined());
}

TEST(DriftStats, MostlyZeroInputsGiveTheSameSums) {
  const Streams x = normal_streams(300, 4);
  const Streams sparse{at::relu(x.dense - 1.8), at::relu(x.drifted - 1.8)};
  const torch::Tensor difference = sparse.dense - sparse.drifted;
  ASSERT_LT(at::count_nonzero(difference).item<double>(),
            0.1 * static_cast<double>(difference.numel()));
  const DriftStats drift = drift_of(sparse);
  expect_products(drift.cross_sum, difference, sparse.drifted);
}

TEST(DriftStats, FewDriftedChannelsOfADenseInputGiveTheSameSums) {
  const Streams x = normal_streams(60, 5);
  torch::Tensor dense = x.drifted.clone();
  dense.select(2, 7).add_(0.5);
  const DriftStats drift = drift_of({dense, x.drifted});
  expect_products(drift.cross_sum, dense - x.drifted, x.drifted);
}

TEST(DriftStats, ResidualStreamsAddUp) {
  const Streams x = normal_streams(24, 6);
  const Streams residual = normal_streams(16, 8);
  DriftAccumulator sums("fc2", 24, torch::kCPU);
  for (std::int64_t i = 0; i < 2; ++i) {
    const torch::Tensor drifted = x.drifted.narrow(0, i, 1);
    sums.add(x.dense.narrow(0, i, 1), drifted);
    sums.add_residual(residual.dense.narrow(0, i, 1), residual.drifted.narrow(0, i, 1), drifted);
  }
  const DriftStats drift = sums.finish();
  expect_products(drift.residual_sum, residual.dense - residual.drifted, x.drifted);
  EXPECT_TRUE(drift.residual().equal(drift.residual_sum));  // 2 / sequences is 1
}

TEST(DriftStats, TheSameTensorHasNotDrifted) {
  const torch::Tensor x = test::normal(6, 3, 3).reshape({1, 6, 3});
  DriftAccumulator sums("fc1", 3, torch::kCPU);
  sums.add(x, x);
  sums.add_residual(x, x, x);
  sums.add(x, x.clone());
  const DriftStats drift = sums.finish();
  EXPECT_EQ(at::count_nonzero(drift.cross_sum).item<std::int64_t>(), 0);
  EXPECT_FALSE(drift.residual_sum.defined());
}

TEST(DriftStats, DifferencesOfHalfPrecisionAreFormedInSingle) {
  const torch::Tensor x = at::full({1, 1, 1}, 256.0F).to(torch::kBFloat16);
  const torch::Tensor dense = at::full({1, 1, 1}, 1.0F).to(torch::kBFloat16);
  const DriftStats drift = drift_of({dense, x});  // -255 * 256 has no bfloat16
  EXPECT_EQ(drift.cross_sum.scalar_type(), torch::kFloat32);
  EXPECT_EQ(drift.cross_sum[0][0].item<float>(), -65280.0F);
}

/// `sums` of rounded differences: off by 2^-8 of each product, and by float32 sums.
void expect_rounded_products(const torch::Tensor& sums, const Streams& left,
                             const torch::Tensor& right) {
  const torch::Tensor difference =
      left.dense.to(torch::kFloat64) - left.drifted.to(torch::kFloat64);
  const torch::Tensor wide = right.to(torch::kFloat64);
  const auto tokens = static_cast<double>(right.size(0) * right.size(1));
  const torch::Tensor magnitude = token_loop(difference.abs(), wide.abs());
  const double rounding = 0x1p-8 + tokens * std::numeric_limits<float>::epsilon();
  const torch::Tensor error = (sums - token_loop(difference, wide)).abs();
  EXPECT_TRUE(error.le(rounding * magnitude).all().item<bool>())
      << (error / magnitude).max().item<double>();
}

/// Streams are ten times their difference here: products of each stream, rounded and subtracted,
/// would be off by ten times as much.
TEST(DriftStats, ProductsOfHalfPrecisionAreOfRoundedDifferences) {
  if (!cpu_kernels::multiplies_bfloat16()) GTEST_SKIP() << "this processor has no bfloat16";
  const auto short_of = [](const Streams& x) {
    return Streams{x.dense.to(torch::kBFloat16), x.drifted.to(torch::kBFloat16)};
  };
  const Streams x = short_of(normal_streams(70, 10));
  const Streams residual = short_of(normal_streams(33, 12));
  DriftAccumulator sums("fc2", 70, torch::kCPU);
  sums.add(x.dense, x.drifted);
  sums.add_residual(residual.dense, residual.drifted, x.drifted);
  const DriftStats drift = sums.finish();
  expect_rounded_products(drift.cross_sum, x, x.drifted);
  expect_rounded_products(drift.residual_sum, residual, x.drifted);
  const torch::Tensor difference = x.dense.to(torch::kFloat64) - x.drifted.to(torch::kFloat64);
  EXPECT_NEAR(drift.abs_sum, difference.abs().sum().item<double>(), 1e-3);
}

/// Long sequences are multiplied one by one where they lie, short ones in a copy.
TEST(DriftStats, TakesEverySecondSequenceOfHalfPrecision) {
  const Streams x = normal_streams(40, 14);
  for (const std::int64_t repeats : {1, 30}) {
    const auto four = [&](const torch::Tensor& a, const torch::Tensor& b) {
      return at::cat({a, b}).repeat({1, repeats, 1}).to(torch::kBFloat16);
    };
    const torch::Tensor dense = four(x.dense, x.drifted);
    const torch::Tensor drifted = four(x.drifted, x.dense);
    const auto half = [](const torch::Tensor& all) { return all.slice(0, 0, 4, 2); };
    DriftAccumulator together("fc1", 40, torch::kCPU);
    together.add(half(dense).clone(), half(drifted).clone());
    together.add_residual(half(drifted).clone(), half(dense).clone(), half(drifted).clone());
    DriftAccumulator apart("fc1", 40, torch::kCPU);
    apart.add(half(dense), half(drifted));
    apart.add_residual(half(drifted), half(dense), half(drifted));
    const DriftStats expected = together.finish();
    const DriftStats sums = apart.finish();
    EXPECT_TRUE(at::allclose(sums.cross_sum, expected.cross_sum, 1e-5, 1e-3));
    EXPECT_TRUE(at::allclose(sums.residual_sum, expected.residual_sum, 1e-5, 1e-3));
    EXPECT_NEAR(sums.abs_sum, expected.abs_sum, 1e-6 * expected.abs_sum);
  }
}

TEST(DriftStats, MostlyZeroInputsOfHalfPrecisionGiveTheSameSums) {
  const Streams x = normal_streams(300, 4);
  const Streams sparse{at::relu(x.dense - 1.8).to(torch::kBFloat16),
                       at::relu(x.drifted - 1.8).to(torch::kBFloat16)};
  expect_products(drift_of(sparse).cross_sum,
                  sparse.dense.to(torch::kFloat32) - sparse.drifted.to(torch::kFloat32),
                  sparse.drifted.to(torch::kFloat32));
}

TEST(DriftStats, NamesTheStreamAndTheFirstValueThatIsNotFinite) {
  const torch::Tensor good = at::ones({2, 5, 4});
  torch::Tensor bad = good.clone();
  bad[1][2][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_text(bad, good),
              HasSubstr("the input of fc1 in the dense model is nan at sequence 1, token 2, "
                        "channel 3"));
  EXPECT_THAT(error_text(good, bad), HasSubstr("the input of fc1 is nan at sequence 1"));
  EXPECT_THAT(error_text(bad.to(torch::kBFloat16), good.to(torch::kBFloat16)),
              HasSubstr("nan at sequence 1, token 2, channel 3"));
  torch::Tensor strided = at::ones({4, 600, 4}).to(torch::kBFloat16);
  strided[2][550][1] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_text(at::ones({2, 600, 4}).to(torch::kBFloat16), strided.slice(0, 0, 4, 2)),
              HasSubstr("the input of fc1 is inf at sequence 1, token 550, channel 1"));
  const torch::Tensor large = at::full({1, 1, 1}, 3e38F);
  EXPECT_THAT(error_text(large, -large), HasSubstr("overflow"));
  EXPECT_THAT(error_text(large.to(torch::kBFloat16), -large.to(torch::kBFloat16)),
              HasSubstr("overflow"));
  DriftAccumulator sums("fc2", 4, torch::kCPU);
  EXPECT_THROW(sums.add_residual(bad, good, good), Error);
}

TEST(DriftStats, RefusesOtherShapes) {
  DriftAccumulator sums("fc1", 3, torch::kCPU);
  EXPECT_THROW(sums.add(at::ones({1, 2, 4}), at::ones({1, 2, 4})), Error);
  EXPECT_THROW(sums.add(at::ones({1, 1, 3}), at::ones({1, 2, 3})), Error);
  EXPECT_THROW(sums.add_residual(at::ones({1, 2, 5}), at::ones({1, 2, 5}), at::ones({1, 1, 3})),
               Error);
  EXPECT_THROW((void)sums.finish().cross(), Error) << "before any sequence";
}

}  // namespace
}  // namespace sgpt_mi::calib
