#include "sgpt_mi/cholesky/factor.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linspace.h>

#include <algorithm>

#include "sgpt_mi/core/error.h"
#include "triangular.h"

namespace sgpt_mi::cholesky {
namespace {

constexpr double kLargestResidual = 0.01;
constexpr std::int64_t kResidualRows = 16;

/// Largest |U (H + damping I) U^T - I| in rows spread evenly over the matrix.
double sampled_residual(const torch::Tensor& upper, const torch::Tensor& hessian, double damping) {
  const std::int64_t n = upper.size(0);
  const torch::Tensor places =
      at::linspace(0, static_cast<double>(n - 1), std::min(n, kResidualRows), torch::kFloat64)
          .round()
          .to(upper.device(), torch::kInt64);
  const torch::Tensor rows = upper.index_select(0, places);
  torch::Tensor product = rows.matmul(hessian.to(rows.scalar_type())).add_(rows, damping);
  product = product.matmul(upper.t());
  product -= at::eye(n, upper.options()).index_select(0, places);
  return product.abs().max().item<double>();
}

/// One try: fills step.residual and step.succeeded; the result is U in the step's precision,
/// undefined when the factorisation failed.
torch::Tensor try_factor(const torch::Tensor& hessian, DampingStep& step) {
  const torch::Tensor exact = hessian.to(step.float64 ? torch::kFloat64 : torch::kFloat32);
  const double damping = step.percdamp * exact.diagonal().mean().item<double>();
  torch::Tensor reversed = exact.flip({0, 1});
  reversed.diagonal().add_(damping);
  if (!factor_lower(reversed)) return {};
  torch::Tensor upper = invert_lower(reversed).flip({0, 1});
  step.residual = sampled_residual(upper, exact, damping);
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

}  // namespace sgpt_mi::cholesky
