#include "sgpt_mi/drift/correct_drift.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"
#include "support/random_tensor.h"
#include "support/row_placements.h"
#include "support/thread_ranks.h"

// The target that makes good what the layers before have lost.
namespace sgpt_mi::drift {
namespace {

using obs::CompressOptions;
using obs::prepare_input;
using obs::PreparedInput;

/// The target of a linear that alone reads its input.
DriftTarget corrected(const torch::Tensor& weight, const PreparedInput& input,
                      const std::vector<DriftMoments>& halves, double limit) {
  return correct_drift(weight, input, prepare_drift(halves, input, weight.size(0)), limit);
}

TEST(CorrectDrift, IsTheLeastSquaresOptimumByHand) {
  // Two tokens, N = 2: x = (1, 0), (0, 1) and xd = (2, 0), (1, 1). H = sum x x^T = I,
  // C = sum (xd - x) x^T = [[1, 1], [0, 0]]. With W = (3, 4) the outputs wanted are 6 and 7: W0 =
  // W + W C = (6, 7) reproduces both. Damping by percdamp shrinks the correction by 1 / (1 + 0.01).
  const torch::Tensor weight = torch::tensor({{3.0F, 4.0F}});
  const PreparedInput input = prepare_input(at::eye(2), {}, "fc1");
  const torch::Tensor cross = torch::tensor({{1.0F, 1.0F}, {0.0F, 0.0F}});
  const auto target = [&](const torch::Tensor& residual, double limit) {
    return corrected(weight, input, {{cross, residual, 1}}, limit).weight;
  };
  const torch::Tensor full = target({}, 1.0);
  EXPECT_NEAR(full[0][0].item<float>(), 3.0 + 3.0 / 1.01, 1e-5);
  EXPECT_NEAR(full[0][1].item<float>(), 4.0 + 3.0 / 1.01, 1e-5);
  EXPECT_NEAR(target({}, 0.5)[0][0].item<float>(), 3.0 + 1.5 / 1.01, 1e-5);
  EXPECT_TRUE(target({}, 0.0).equal(weight));
  // A residual stream that has lost 1 on the first token is made good by the linear.
  const torch::Tensor both = target(torch::tensor({{1.0F, 0.0F}}), 1.0);
  EXPECT_NEAR(both[0][0].item<float>(), 3.0 + 4.0 / 1.01, 1e-5);
}

TEST(CorrectDrift, TakesTheShareThatTwoEstimatesHaveInCommonByHand) {
  // H = I, W = I: D is C. D1 = (1, 2 | 2, 0) and D2 = (3, 0 | 2, 0) from one and three sequences:
  // <D1, D2> = 3 + 4 = 7, D = (D1 + 3 D2) / 4 = (2.5, 0.5 | 2, 0), <D, D> = 10.5, a share of 2/3.
  CompressOptions options;
  options.percdamp = 1e-7;
  const PreparedInput input = prepare_input(at::eye(2), options, "fc1");
  const std::vector<DriftMoments> halves{{torch::tensor({{1.0F, 2.0F}, {2.0F, 0.0F}}), {}, 1},
                                         {torch::tensor({{3.0F, 0.0F}, {2.0F, 0.0F}}), {}, 3}};
  const DriftTarget target = corrected(at::eye(2), input, halves, 0.9);
  EXPECT_NEAR(target.share, 0.6, 1e-6);
  EXPECT_NEAR(target.weight[0][0].item<float>(), 1.0 + 0.6 * 2.5, 1e-5);
  EXPECT_NEAR(target.weight[0][1].item<float>(), 0.6 * 0.5, 1e-5);
  EXPECT_NEAR(target.weight[1][0].item<float>(), 0.6 * 2.0, 1e-5);
  // Estimates that contradict each other are worth nothing.
  const std::vector<DriftMoments> opposed{{halves[0].cross, {}, 1}, {-halves[0].cross, {}, 2}};
  EXPECT_EQ(corrected(at::eye(2), input, opposed, 1.0).share, 0.0);
  EXPECT_THROW((void)corrected(at::eye(2), input, {}, 1.0), Error);
}

TEST(CorrectDrift, TheShareIsOfRowsFromAllPlacesOfAHead) {
  // 64 heads of 64 rows. Of the first row of each the estimates agree, of all others they are
  // opposed, so that all rows together have nothing in common.
  const torch::Tensor number = at::arange(64 * 64, torch::kInt64);
  const torch::Tensor first = number.remainder(64).eq(0).to(torch::kFloat32);
  const torch::Tensor weight = at::stack({first, 1.0 - first}, 1);
  const PreparedInput input = prepare_input(at::eye(2), {}, "q_proj");
  const std::vector<DriftMoments> halves{{at::eye(2), {}, 1},
                                         {torch::tensor({{1.0F, 0.0F}, {0.0F, -1.0F}}), {}, 1}};
  EXPECT_EQ(corrected(weight, input, halves, 1.0).share, 0.0);
  EXPECT_NEAR(corrected(first.unsqueeze(1) * weight, input, halves, 1.0).share, 1.0, 1e-6);
}

/// On fresh tokens the share beats the whole estimate where chance rules it, and loses nothing
/// where it does not.
TEST(CorrectDrift, TheShareIsRightOnOtherText) {
  const torch::Tensor mixing = test::normal(24, 24, 4);
  const torch::Tensor drift = test::normal(24, 24, 6);
  const torch::Tensor weight = test::normal(5, 24, 7);
  CompressOptions options;
  options.percdamp = 1e-6;
  struct Tokens {
    torch::Tensor x;
    torch::Tensor dense;
  };
  for (const double common : {0.005, 0.5}) {
    const auto draw = [&](std::int64_t count, std::uint64_t seed) {
      const torch::Tensor x = test::normal(count, 24, seed).matmul(mixing);
      const torch::Tensor chance = test::normal(count, 24, seed + 1);
      return Tokens{x, x + common * x.matmul(drift) + chance};
    };
    const Tokens first = draw(600, 10);
    const Tokens second = draw(600, 20);
    const Tokens fresh = draw(4000, 30);
    const torch::Tensor x = at::cat({first.x, second.x});
    const PreparedInput input = prepare_input(x.t().matmul(x), options, "fc1");
    std::vector<DriftMoments> halves;
    for (const Tokens& half : {first, second}) {
      halves.push_back({2.0 * (half.dense - half.x).t().matmul(half.x), {}, 600});
    }
    const auto error = [&](const torch::Tensor& w) {
      return (fresh.dense.matmul(weight.t()) - fresh.x.matmul(w.t())).square().sum().item<double>();
    };
    const DriftTarget shrunk = corrected(weight, input, halves, 1.0);
    const torch::Tensor mean = (halves[0].cross + halves[1].cross) / 2.0;
    const double whole = error(corrected(weight, input, {{mean, {}, 1200}}, 1.0).weight);
    if (common < 0.1) {
      EXPECT_LT(shrunk.share, 0.7);
      EXPECT_LT(error(shrunk.weight), whole);
    } else {
      EXPECT_GT(shrunk.share, 0.95);
      EXPECT_LT(error(shrunk.weight), 0.02 * error(weight));
    }
    EXPECT_LT(error(shrunk.weight), 1.01 * error(weight));
  }
}

TEST(CorrectDrift, MinimisesTheOutputErrorAgainstTheDenseInput) {
  const torch::Tensor x = test::normal(400, 24, 3).matmul(test::normal(24, 24, 4));
  const torch::Tensor dense = x + 0.3 * test::normal(400, 24, 5);
  const torch::Tensor weight = test::normal(5, 24, 6);
  CompressOptions options;
  options.percdamp = 1e-6;
  const PreparedInput input = prepare_input(x.t().matmul(x), options, "fc1");
  const torch::Tensor cross = (dense - x).t().matmul(x);
  const torch::Tensor target = corrected(weight, input, {{cross, {}, 1}}, 1.0).weight;
  const auto error = [&](const torch::Tensor& w) {
    return (dense.matmul(weight.t()) - x.matmul(w.t())).square().sum().item<double>();
  };
  const double least = error(target);
  EXPECT_LT(least, error(weight));
  for (std::uint64_t seed = 20; seed < 30; ++seed) {
    EXPECT_LT(least, error(target + 0.01 * test::normal(5, 24, seed)));
  }
}

/// C divided by H beforehand, and the product W C divided, are the same correction: the triangular
/// products have several panels, with the columns in an order of their own.
TEST(CorrectDrift, IsTheSameWithTheDriftDividedBefore) {
  constexpr std::int64_t kColumns = 600;
  const torch::Tensor x = test::normal(900, kColumns, 3) * at::linspace(0.5, 2.0, kColumns);
  const torch::Tensor weight = test::normal(8, kColumns, 6);
  CompressOptions options;
  options.act_order = true;
  const torch::Tensor hessian = x.t().matmul(x);
  const PreparedInput input = prepare_input(hessian, options, "fc1");
  const std::vector<DriftMoments> halves{{test::normal(kColumns, kColumns, 7), {}, 1}};
  const SiteDrift divided = prepare_drift(halves, input, kColumns + 1);
  const SiteDrift whole = prepare_drift(halves, input, kColumns);
  ASSERT_TRUE(divided.divided);
  ASSERT_FALSE(whole.divided);
  const torch::Tensor target = correct_drift(weight, input, whole, 1.0).weight;
  EXPECT_LT((correct_drift(weight, input, divided, 1.0).weight - target).norm().item<double>(),
            1e-5 * (target - weight).norm().item<double>());
  const torch::Tensor damped = hessian + 0.01 * hessian.diagonal().mean() * at::eye(kColumns);
  const torch::Tensor moved = weight.matmul(halves[0].cross).to(torch::kFloat64);
  EXPECT_LT(((target - weight).matmul(damped) - moved).norm().item<double>(),
            1e-4 * moved.norm().item<double>());
}

/// Where a residual stream is followed its drift is added before the division.
TEST(CorrectDrift, DividesAResidualWithTheRest) {
  const PreparedInput input = prepare_input(2.0 * at::eye(2), {}, "down_proj");
  const SiteDrift drift = prepare_drift(
      {{at::zeros({2, 2}), torch::tensor({{1.0F, 0.0F}, {0.0F, 1.0F}, {2.0F, 2.0F}}), 1}}, input,
      3);
  EXPECT_FALSE(drift.divided);
  const torch::Tensor target = correct_drift(at::zeros({3, 2}), input, drift, 1.0).weight;
  EXPECT_NEAR(target[2][1].item<float>(), 2.0 / 2.02, 1e-6);
}

/// Whichever ranks share the rows, with and without a residual stream, the bits are the same.
TEST(CorrectDrift, LeavesNoTraceOfRanks) {
  constexpr std::int64_t kRows = 601;
  constexpr std::int64_t kColumns = 300;  // two panels of a triangular product
  const torch::Tensor weight = test::normal(kRows, kColumns, 21);
  CompressOptions options;
  options.rows.product_rows = 64;
  const PreparedInput input =
      prepare_input(test::correlated_hessian(kColumns, 500, 22), options, "fc1");
  for (const torch::Tensor& residual : {torch::Tensor(), test::normal(kRows, kColumns, 32)}) {
    const SiteDrift drift = prepare_drift({{test::normal(kColumns, kColumns, 31), residual, 3},
                                           {test::normal(kColumns, kColumns, 33), {}, 2}},
                                          input, kRows);
    EXPECT_EQ(drift.divided, !residual.defined());
    const DriftTarget one = correct_drift(weight, input, drift, 0.9, options);
    for (const int ranks : {2, 5}) {
      test::on_ranks(ranks, [&](const ranks::World& world) {
        CompressOptions shared = options;
        shared.rows.world = world;
        const DriftTarget target = correct_drift(weight, input, drift, 0.9, shared);
        EXPECT_EQ(target.share, one.share);
        EXPECT_TRUE(test::same_bytes(target.weight, one.weight));
      });
    }
  }
}

}  // namespace
}  // namespace sgpt_mi::drift
