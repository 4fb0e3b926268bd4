#include "factor.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::obs {
namespace {

constexpr double kLargestResidual = 0.01;
constexpr std::int64_t kResidualRows = 16;

/// Columns of the inverse that are solved for together: wide enough for a fast product, narrow
/// enough that little of the zero triangle above them is computed.
constexpr std::int64_t kInversePanel = 256;

/// M^-1 of a lower triangular M: column panel p has zeros above row p, so only the system below is
/// solved, a third of the work of solving for the identity.
torch::Tensor invert_lower(const torch::Tensor& lower) {
  const std::int64_t n = lower.size(0);
  torch::Tensor inverse = at::zeros_like(lower);
  for (std::int64_t first = 0; first < n; first += kInversePanel) {
    const std::int64_t below = n - first;
    const std::int64_t width = std::min(kInversePanel, below);
    const torch::Tensor system = lower.narrow(0, first, below).narrow(1, first, below);
    inverse.narrow(0, first, below)
        .narrow(1, first, width)
        .copy_(at::linalg_solve_triangular(system, at::eye(below, width, lower.options()),
                                           /*upper=*/false));
  }
  return inverse;
}

/// Largest |U H U^T - I| in rows spread evenly over the matrix.
double sampled_residual(const torch::Tensor& upper, const torch::Tensor& damped) {
  const std::int64_t n = upper.size(0);
  const torch::Tensor rows =
      at::linspace(0, static_cast<double>(n - 1), std::min(n, kResidualRows), torch::kFloat64)
          .round()
          .to(upper.device(), torch::kInt64);
  torch::Tensor product = upper.index_select(0, rows).matmul(damped).matmul(upper.t());
  product -= at::eye(n, upper.options()).index_select(0, rows);
  return product.abs().max().item<double>();
}

/// One try: fills step.residual and step.succeeded; the result is U in the step's precision,
/// undefined when the factorisation failed.
torch::Tensor try_factor(const torch::Tensor& hessian, DampingStep& step) {
  torch::Tensor damped = hessian.to(step.float64 ? torch::kFloat64 : torch::kFloat32,
                                    /*non_blocking=*/false, /*copy=*/true);
  const double mean = damped.diagonal().mean().item<double>();
  damped.diagonal().add_(step.percdamp * mean);
  const auto [lower, info] = at::linalg_cholesky_ex(damped.flip({0, 1}));
  if (info.item<int>() != 0) return {};
  torch::Tensor upper = invert_lower(lower).flip({0, 1});
  step.residual = sampled_residual(upper, damped);
  step.succeeded = step.residual < kLargestResidual;  // false for NaN
  return upper;
}

/// percdamp times 1, 2, 5, 10, 20 ... below 1.0, then 1.0 itself.
std::vector<double> damping_ladder(double percdamp) {
  std::vector<double> shares;
  for (double decade = 1.0; percdamp * decade < 1.0; decade *= 10.0) {
    for (const double step : {1.0, 2.0, 5.0}) {
      if (percdamp * decade * step < 1.0) shares.push_back(percdamp * decade * step);
    }
  }
  shares.push_back(1.0);
  return shares;
}

}  // namespace

Factor factorize(const torch::Tensor& hessian, double percdamp, const std::string& name) {
  Factor factor;
  const std::vector<double> ladder = damping_ladder(percdamp);
  for (const bool float64 : {false, true}) {
    for (const double share : ladder) {
      DampingStep step;
      step.percdamp = share;
      step.float64 = float64;
      const torch::Tensor upper = try_factor(hessian, step);
      factor.steps.push_back(step);
      if (!step.succeeded) continue;
      factor.upper = upper.to(torch::kFloat32).contiguous();
      return factor;
    }
  }
  fail(ErrorKind::kNumeric,
       "obs: the second moment H of {} could not be factorised in {} tries with damping {} to 1.0 "
       "of its mean diagonal; expected a positive definite matrix; calibrate with more or other "
       "text",
       name, factor.steps.size(), percdamp);
}

}  // namespace sgpt_mi::obs
