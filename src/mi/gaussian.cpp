#include "sgpt_mi/mi/gaussian.h"

#include <ATen/ops/digamma.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::mi {
namespace {

constexpr std::int64_t kFewestTokens = 4;

/// Rows of H that are worked on together: their float64 copies stay in the processor's cache.
constexpr std::int64_t kPanelRows = 32;

/// A variance below -kImpossibleShare of the mean square is no rounding error any more: the sums
/// belong to different inputs.
constexpr double kImpossibleShare = 1e-3;

void check(const torch::Tensor& second_moment_sum, const torch::Tensor& channel_sum,
           std::int64_t tokens) {
  ensure(second_moment_sum.dim() == 2 && second_moment_sum.size(0) == second_moment_sum.size(1) &&
             second_moment_sum.size(0) > 0 && second_moment_sum.scalar_type() == torch::kFloat32,
         "mi: the second moment is not (N, N) float32");
  ensure(channel_sum.dim() == 1 && channel_sum.size(0) == second_moment_sum.size(0) &&
             channel_sum.scalar_type() == torch::kFloat64 &&
             channel_sum.device() == second_moment_sum.device(),
         "mi: the channel sums are not (N) float64 beside the second moment");
  if (tokens < kFewestTokens) {
    fail(ErrorKind::kUsage, "mi: {} calibration tokens; expected at least {}; calibrate with more",
         tokens, kFewestTokens);
  }
}

[[noreturn]] void fail_variance(const torch::Tensor& variance, const torch::Tensor& wrong) {
  const auto channel = wrong.nonzero()[0][0].item<std::int64_t>();
  fail(ErrorKind::kNumeric,
       "mi: the variance of channel {} is {}; expected a finite value of at least 0; check the "
       "calibration statistics",
       channel, variance[channel].item<double>());
}

/// 1 / sigma of every channel, 0 for constant ones; (N) float64.
torch::Tensor inverse_deviation(const torch::Tensor& mean_square, const torch::Tensor& mean,
                                double constant_share) {
  const torch::Tensor variance = mean_square - mean.square();
  const torch::Tensor wrong = at::isfinite(variance).logical_not_().logical_or_(
      variance.lt(mean_square * -kImpossibleShare));
  if (wrong.any().item<bool>()) fail_variance(variance, wrong);
  const torch::Tensor varies = variance.gt(mean_square * constant_share);
  return at::where(varies, variance.rsqrt(), 0.0);
}

std::vector<std::int64_t> places_of(const torch::Tensor& condition) {
  const torch::Tensor places = condition.nonzero().flatten().to(torch::kCPU);
  return {places.data_ptr<std::int64_t>(), places.data_ptr<std::int64_t>() + places.numel()};
}

/// -1/2 ln(1 - r^2) of every element, in float64 a panel at a time.
torch::Tensor nats_of(const torch::Tensor& normalized) {
  torch::Tensor nats = at::empty_like(normalized);
  for (std::int64_t first = 0; first < normalized.size(0); first += kPanelRows) {
    const std::int64_t rows = std::min(kPanelRows, normalized.size(0) - first);
    torch::Tensor panel = normalized.narrow(0, first, rows).to(torch::kFloat64);
    nats.narrow(0, first, rows).copy_(panel.square_().neg_().log1p_().mul_(-0.5));
  }
  return nats;
}

/// Mean of -1/2 ln(1 - r^2) over independent Gaussian samples.
double gaussian_bias(std::int64_t tokens) {
  const auto digamma = [](double x) {
    return at::full({1}, x, torch::kFloat64).digamma().item<double>();
  };
  const auto count = static_cast<double>(tokens);
  return 0.5 * (digamma(0.5 * (count - 1.0)) - digamma(0.5 * (count - 2.0)));
}

}  // namespace

void GaussianOptions::validate() const {
  if (!(constant_share >= 0.0 && constant_share < 1.0)) {
    fail(ErrorKind::kUsage,
         "mi: constant_share is {}; expected a share of the mean square in "
         "[0, 1)",
         constant_share);
  }
  if (!(correlation_gap > 0.0 && correlation_gap < 1.0)) {
    fail(ErrorKind::kUsage, "mi: correlation_gap is {}; expected a distance from 1 in (0, 1)",
         correlation_gap);
  }
}

torch::Tensor Correlation::affinity() const {
  torch::Tensor positive = rho.clamp_min(0.0);
  return positive.fill_diagonal_(0.0);
}

Correlation correlation(const torch::Tensor& second_moment_sum, const torch::Tensor& channel_sum,
                        std::int64_t tokens, const GaussianOptions& options) {
  options.validate();
  check(second_moment_sum, channel_sum, tokens);
  const double share = 1.0 / static_cast<double>(tokens);
  const torch::Tensor mean = channel_sum * share;
  const torch::Tensor scale = inverse_deviation(
      second_moment_sum.diagonal().to(torch::kFloat64) * share, mean, options.constant_share);
  const double cap = 1.0 - options.correlation_gap;
  Correlation result;
  result.rho = at::empty_like(second_moment_sum, at::MemoryFormat::Contiguous);
  for (std::int64_t first = 0; first < mean.size(0); first += kPanelRows) {
    const std::int64_t rows = std::min(kPanelRows, mean.size(0) - first);
    torch::Tensor panel = second_moment_sum.narrow(0, first, rows).to(torch::kFloat64);
    // Every operation treats i and j alike, so that the result is symmetric to the last bit.
    panel.mul_(share).sub_(at::outer(mean.narrow(0, first, rows), mean));
    panel.mul_(at::outer(scale.narrow(0, first, rows), scale)).clamp_(-cap, cap);
    result.rho.narrow(0, first, rows).copy_(panel);
  }
  result.rho.diagonal().copy_(scale.gt(0));
  result.constant_channels = places_of(scale.eq(0));
  return result;
}

MiMatrix gaussian_mi(const torch::Tensor& second_moment_sum, const torch::Tensor& channel_sum,
                     std::int64_t tokens, const GaussianOptions& options) {
  Correlation correlations = correlation(second_moment_sum, channel_sum, tokens, options);
  MiMatrix result;
  result.normalized = correlations.rho.abs_().fill_diagonal_(0.0);
  if (options.with_nats) result.nats = nats_of(result.normalized);
  result.constant_channels = std::move(correlations.constant_channels);
  result.bias_nats = gaussian_bias(tokens);
  result.estimator = Estimator::kGaussian;
  result.tokens = tokens;
  return result;
}

}  // namespace sgpt_mi::mi
