#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgpt_mi/obs/compress.h"
#include "support/random_tensor.h"

// Pruning by SparseGPT: closed forms and invariants.
namespace sgpt_mi::obs {
namespace {

CompressOptions unstructured(double sparsity) {
  CompressOptions options;
  options.sparsity = sparsity;
  return options;
}

CompressOptions pattern(std::int64_t n, std::int64_t m) {
  CompressOptions options;
  options.prune_n = n;
  options.prune_m = m;
  return options;
}

std::int64_t count(const torch::Tensor& mask) { return mask.sum().item<std::int64_t>(); }

TEST(SparseGpt, TwoChannelsByHand) {
  // Damped H = [[6, 2], [2, 6]], its inverse [[6, -2], [-2, 6]] / 32. Pruning w0 = 3 moves w1 by
  // -w0 Hinv01 / Hinv00 = 1 and costs w0^2 / (2 Hinv00) = 24.
  torch::Tensor hessian = at::full({2, 2}, 2.0, torch::kFloat32);
  hessian.diagonal().fill_(4.0);
  torch::Tensor weight = at::full({1, 2}, 5.0, torch::kFloat32);
  weight[0][0] = 3.0;
  CompressOptions options = unstructured(0.3);
  options.percdamp = 0.5;
  const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
  EXPECT_EQ(result.matrix.weight[0][0].item<float>(), 0.0F);
  EXPECT_NEAR(result.matrix.weight[0][1].item<float>(), 6.0, 1e-5);
  EXPECT_NEAR(result.loss, 24.0, 1e-4);
  EXPECT_NEAR(result.output_error, 3.0 * 3.0 * 4.0 - 2.0 * 3.0 * 1.0 * 2.0 + 4.0, 1e-3);
  EXPECT_NEAR(result.output_energy, 9.0 * 4.0 + 25.0 * 4.0 + 2.0 * 15.0 * 2.0, 1e-3);
  EXPECT_EQ(result.sparsity, 0.5);
  EXPECT_FALSE(result.matrix.codes.defined());
  EXPECT_FALSE(result.matrix.scale.defined());
}

TEST(SparseGpt, WithoutCorrelationKeepsTheOtherWeights) {
  const torch::Tensor weight = test::normal(8, 40, 1);
  const CompressResult result = compress_sparsegpt(weight, at::eye(40), unstructured(0.5), "fc1");
  EXPECT_TRUE(result.matrix.weight.equal(weight.masked_fill(result.matrix.pruned, 0.0)));
  const float largest_pruned = weight.abs().masked_select(result.matrix.pruned).max().item<float>();
  const float smallest_kept =
      weight.abs().masked_select(result.matrix.pruned.logical_not()).min().item<float>();
  EXPECT_LT(largest_pruned, smallest_kept);
}

TEST(SparseGpt, NothingAskedForChangesNothing) {
  const torch::Tensor weight = test::normal(4, 10, 2);
  const CompressResult result =
      compress_sparsegpt(weight, test::correlated_hessian(10, 50, 3), {}, "fc1");
  EXPECT_TRUE(result.matrix.weight.equal(weight));
  EXPECT_EQ(result.loss, 0.0);
}

TEST(SparseGpt, PrunesOneMoreThanTheShareOfEveryBlock) {
  const torch::Tensor weight = test::normal(10, 300, 4);
  CompressOptions options = unstructured(0.37);
  const CompressResult result =
      compress_sparsegpt(weight, test::correlated_hessian(300, 900, 5), options, "fc1");
  for (const auto& [first, width] : {std::pair{0, 128}, {128, 128}, {256, 44}}) {
    const auto wanted = static_cast<std::int64_t>(10.0 * width * 0.37) + 1;
    EXPECT_EQ(count(result.matrix.pruned.narrow(1, first, width)), wanted) << "block at " << first;
  }
  EXPECT_TRUE(result.matrix.weight.eq(0).equal(result.matrix.pruned));
}

TEST(SparseGpt, PatternsHoldInEveryRowWhateverTheBlockSize) {
  const torch::Tensor weight = test::normal(9, 48, 6);
  const torch::Tensor hessian = test::correlated_hessian(48, 200, 7);
  for (const auto& [n, m] : {std::pair{2, 4}, {4, 8}, {1, 3}, {5, 6}, {20, 24}}) {
    for (const std::int64_t blocksize : {1, 10, 16, 128}) {
      CompressOptions options = pattern(n, m);
      options.blocksize = blocksize;
      const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
      const torch::Tensor zeros = result.matrix.weight.eq(0).reshape({9, 48 / m, m}).sum(2);
      EXPECT_TRUE(zeros.eq(n).all().item<bool>()) << n << " of " << m << " in " << blocksize;
    }
  }
}

TEST(SparseGpt, TheBlockSizeOfAPatternDoesNotMatter) {
  const torch::Tensor weight = test::normal(9, 48, 8);
  const torch::Tensor hessian = test::correlated_hessian(48, 200, 9);
  CompressOptions options = pattern(2, 4);
  const CompressResult whole = compress_sparsegpt(weight, hessian, options, "fc1");
  options.blocksize = 7;  // taken as 4
  const CompressResult small = compress_sparsegpt(weight, hessian, options, "fc1");
  EXPECT_TRUE(whole.matrix.pruned.equal(small.matrix.pruned));
  EXPECT_TRUE(whole.matrix.weight.allclose(small.matrix.weight, 1e-4, 1e-5));
}

TEST(SparseGpt, LossIsTheOutputErrorUnderTheDampedMoment) {
  const torch::Tensor weight = test::normal(16, 200, 10);
  const torch::Tensor hessian = test::correlated_hessian(200, 600, 11);
  CompressOptions options = unstructured(0.6);
  options.wbits = 4;
  const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
  const torch::Tensor change = (result.matrix.weight - weight).to(torch::kFloat64);
  const double damping = 0.01 * hessian.diagonal().mean().item<double>();
  const double damped_error = result.output_error + damping * change.square().sum().item<double>();
  EXPECT_NEAR(2.0 * result.loss, damped_error, 1e-4 * damped_error);
}

/// The loss equals the output error only if the errors of all columns reached all others: with more
/// columns than one far block (1,024) has, for blocks that divide it, that do not and that are
/// wider, and for grids that are fitted on the way to groups that pass the borders.
TEST(SparseGpt, ErrorsReachTheColumnsOfFarBlocks) {
  const torch::Tensor weight = test::normal(4, 2200, 21);
  const torch::Tensor hessian =
      test::correlated_hessian(2200, 2400, 22) + 50.0 * at::eye(2200, torch::kFloat32);
  struct Case {
    std::int64_t blocksize;
    std::int64_t groupsize;
  };
  for (const auto& [blocksize, groupsize] : {Case{128, -1}, Case{100, -1}, Case{1500, -1},
                                             Case{4000, -1}, Case{128, 100}, Case{128, 90}}) {
    CompressOptions options = unstructured(0.5);
    options.wbits = 4;
    options.blocksize = blocksize;
    options.groupsize = groupsize;
    const CompressResult result = compress_sparsegpt(weight, hessian, options, "fc1");
    const torch::Tensor change = (result.matrix.weight - weight).to(torch::kFloat64);
    const double damping = 0.01 * hessian.diagonal().mean().item<double>();
    const double damped_error =
        result.output_error + damping * change.square().sum().item<double>();
    EXPECT_NEAR(2.0 * result.loss, damped_error, 1e-3 * damped_error) << blocksize;
  }
}

TEST(SparseGpt, BeatsMagnitudePruning) {
  const torch::Tensor weight = test::normal(32, 160, 12);
  const torch::Tensor hessian = test::correlated_hessian(160, 500, 13);
  CompressOptions joint = unstructured(0.5);
  joint.wbits = 3;
  for (const CompressOptions& options :
       {unstructured(0.3), unstructured(0.7), pattern(2, 4), joint}) {
    const double ours = compress_sparsegpt(weight, hessian, options, "fc1").output_error;
    const double baseline = compress_magnitude(weight, hessian, options, "fc1").output_error;
    EXPECT_LT(ours, baseline);
  }
}

TEST(SparseGpt, RowsMayComeInAnyOrder) {
  const torch::Tensor weight = test::normal(40, 150, 14);
  const torch::Tensor hessian = test::correlated_hessian(150, 500, 15);
  const torch::Tensor plain =
      compress_sparsegpt(weight, hessian, unstructured(0.5), "fc1").matrix.weight;
  const torch::Tensor reversed =
      compress_sparsegpt(weight.flip(0), hessian, unstructured(0.5), "fc1").matrix.weight.flip(0);
  EXPECT_TRUE(plain.eq(0).equal(reversed.eq(0)));
  EXPECT_TRUE(plain.allclose(reversed, 1e-4, 1e-4));
}

TEST(SparseGpt, TheScaleOfTheMomentOnlyScalesTheLoss) {
  const torch::Tensor weight = test::normal(8, 64, 16);
  const torch::Tensor hessian = test::correlated_hessian(64, 200, 17);
  const CompressResult one = compress_sparsegpt(weight, hessian, unstructured(0.5), "fc1");
  const CompressResult four = compress_sparsegpt(weight, hessian * 4.0, unstructured(0.5), "fc1");
  EXPECT_TRUE(one.matrix.weight.allclose(four.matrix.weight, 1e-5, 1e-5));
  EXPECT_NEAR(four.loss, 4.0 * one.loss, 1e-4 * four.loss);
}

TEST(SparseGpt, ThreadsDoNotChangeTheMask) {
  const torch::Tensor weight = test::normal(300, 260, 18);
  const torch::Tensor hessian = test::correlated_hessian(260, 700, 19);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const CompressResult one = compress_sparsegpt(weight, hessian, unstructured(0.5), "fc1");
  at::set_num_threads(3);
  const CompressResult three = compress_sparsegpt(weight, hessian, unstructured(0.5), "fc1");
  at::set_num_threads(threads);
  EXPECT_TRUE(one.matrix.pruned.equal(three.matrix.pruned));
  EXPECT_TRUE(one.matrix.weight.allclose(three.matrix.weight, 1e-4, 1e-4));
}

TEST(SparseGpt, LeavesItsInputsAlone) {
  const torch::Tensor weight = test::normal(8, 32, 20);
  const torch::Tensor hessian = test::correlated_hessian(32, 100, 21);
  const torch::Tensor weight_copy = weight.clone();
  const torch::Tensor hessian_copy = hessian.clone();
  static_cast<void>(compress_sparsegpt(weight, hessian, unstructured(0.5), "fc1"));
  EXPECT_TRUE(weight.equal(weight_copy));
  EXPECT_TRUE(hessian.equal(hessian_copy));
}

TEST(SparseGpt, TakesHalfPrecisionAndTransposedWeights) {
  const torch::Tensor weight = test::normal(32, 16, 22).to(torch::kFloat16);
  const torch::Tensor hessian = test::correlated_hessian(32, 100, 23);
  const torch::Tensor expected = compress_sparsegpt(weight.to(torch::kFloat32).t().contiguous(),
                                                    hessian, unstructured(0.5), "fc1")
                                     .matrix.weight;
  const CompressResult result = compress_sparsegpt(weight.t(), hessian, unstructured(0.5), "fc1");
  EXPECT_EQ(result.matrix.weight.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(result.matrix.weight.equal(expected));
}

}  // namespace
}  // namespace sgpt_mi::obs
