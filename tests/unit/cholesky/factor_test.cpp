#include "sgpt_mi/cholesky/factor.h"

#include <gtest/gtest.h>

#include "cholesky/triangular.h"
#include "support/random_tensor.h"

namespace sgpt_mi::cholesky {
namespace {

TEST(Factor, OfOneChannelIsTheInverseRoot) {
  const Factor factor = factorize(at::full({1, 1}, 3.0, torch::kFloat32), 1.0 / 3.0, "fc1");
  EXPECT_FLOAT_EQ(factor.upper[0][0].item<float>(), 0.5F);  // (3 + 1)^(-1/2)
}

TEST(Factor, SquaresToTheInverse) {
  constexpr std::int64_t kChannels = 600;  // more than two panels of the inverse
  const torch::Tensor hessian = test::correlated_hessian(kChannels, 2000, 1);
  const Factor factor = factorize(hessian, 0.05, "fc1");
  EXPECT_TRUE(factor.upper.equal(factor.upper.triu()));
  EXPECT_TRUE(factor.upper.diagonal().gt(0).all().item<bool>());
  torch::Tensor damped = hessian.to(torch::kFloat64);
  damped.diagonal().add_(0.05 * damped.diagonal().mean().item<double>());
  const torch::Tensor upper = factor.upper.to(torch::kFloat64);
  const torch::Tensor identity = upper.matmul(damped).matmul(upper.t());
  const double residual =
      (identity - at::eye(kChannels, torch::kFloat64)).abs().max().item<double>();
  EXPECT_LT(residual, 1e-3);
  ASSERT_EQ(factor.steps.size(), 1U);
  EXPECT_LT(factor.steps[0].residual, 1e-3);
}

TEST(Triangular, FactorAndInverseAtPanelBorders) {
  for (const std::int64_t n : {1, 127, 129, 256, 257, 700}) {
    const torch::Tensor a =
        test::correlated_hessian(n, 3 * n + 8, 3).to(torch::kFloat64) + at::eye(n, torch::kFloat64);
    torch::Tensor lower = a.clone();
    ASSERT_TRUE(factor_lower(lower)) << n;
    EXPECT_TRUE(lower.equal(lower.tril())) << n;
    const double scale = a.abs().max().item<double>();
    EXPECT_LT((lower.matmul(lower.t()) - a).abs().max().item<double>(), 1e-12 * scale) << n;
    const torch::Tensor inverse = invert_lower(lower);
    EXPECT_TRUE(inverse.equal(inverse.tril())) << n;
    const torch::Tensor identity = inverse.matmul(lower);
    EXPECT_LT((identity - at::eye(n, torch::kFloat64)).abs().max().item<double>(), 1e-9) << n;
  }
}

TEST(Triangular, SaysWhenAMatrixIsNotPositiveDefinite) {
  for (const std::int64_t place : {std::int64_t{0}, std::int64_t{300}, std::int64_t{599}}) {
    torch::Tensor a = at::eye(600, torch::kFloat64);
    a[place][place] = -1.0;
    EXPECT_FALSE(factor_lower(a)) << place;
  }
}

}  // namespace
}  // namespace sgpt_mi::cholesky
