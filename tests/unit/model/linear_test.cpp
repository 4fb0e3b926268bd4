#include "model/linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/random_tensor.h"

namespace sgpt_mi::model {
namespace {

constexpr std::int64_t kColumns = 300;
constexpr std::int64_t kRows = 250;  // times 60 tokens: enough products for oneDNN

torch::Tensor inputs() { return test::normal(60, kColumns, 1).reshape({3, 20, kColumns}); }
torch::Tensor weights() { return test::normal(kRows, kColumns, 2); }

/// The result within what float32 sums of kColumns products may be off.
void expect_exact(const torch::Tensor& result, const torch::Tensor& x, const torch::Tensor& weight,
                  const std::optional<torch::Tensor>& bias) {
  const torch::Tensor wide = x.to(torch::kFloat64);
  torch::Tensor exact = wide.matmul(weight.to(torch::kFloat64).t());
  torch::Tensor magnitude = wide.abs().matmul(weight.to(torch::kFloat64).abs().t());
  if (bias) exact = exact + *bias;
  if (bias) magnitude = magnitude + bias->abs();
  const double epsilon = std::numeric_limits<float>::epsilon();
  ASSERT_EQ(result.sizes(), exact.sizes());
  EXPECT_TRUE((result - exact).abs().le(magnitude * (epsilon * kColumns)).all().item<bool>());
}

TEST(ApplyLinear, EqualsTheExactProduct) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor bias = test::normal(1, kRows, 3)[0];
  expect_exact(apply_linear(inputs(), weights(), bias), inputs(), weights(), bias);
  expect_exact(apply_linear(inputs(), weights(), std::nullopt), inputs(), weights(), std::nullopt);
}

TEST(ApplyLinear, TakesViewsOneTokenAndNone) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor every_other = test::normal(120, kColumns, 4).slice(0, 0, 120, 2);
  expect_exact(apply_linear(every_other, weights(), std::nullopt), every_other, weights(),
               std::nullopt);
  const torch::Tensor across = test::normal(kColumns, 60, 5).t();
  expect_exact(apply_linear(across, weights(), std::nullopt), across, weights(), std::nullopt);
  const torch::Tensor one = inputs().narrow(0, 0, 1).narrow(1, 0, 1);
  expect_exact(apply_linear(one, weights(), std::nullopt), one, weights(), std::nullopt);
  EXPECT_EQ(apply_linear(one.narrow(1, 0, 0), weights(), std::nullopt).numel(), 0);
}

TEST(ApplyLinear, KeepsTheTypeOfHalves) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = inputs().to(torch::kBFloat16);
  const torch::Tensor weight = weights().to(torch::kBFloat16);
  const torch::Tensor result = apply_linear(x, weight, std::nullopt);
  EXPECT_EQ(result.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(result.equal(at::linear(x, weight)));
}

TEST(ApplyLinear, IsDifferentiableWhereAGradientIsWanted) {
  const torch::Tensor weight = weights().requires_grad_();
  apply_linear(inputs(), weight, std::nullopt).sum().backward();
  ASSERT_TRUE(weight.grad().defined());
  const torch::Tensor expected = inputs().reshape({-1, kColumns}).sum(0);
  EXPECT_LT((weight.grad()[7] - expected).abs().max().item<double>(), 1e-4);
}

}  // namespace
}  // namespace sgpt_mi::model
