#include "sgpt_mi/mi/gaussian.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/correlation.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::mi {
namespace {

constexpr std::int64_t kFewestTokens = 4;

/// A variance below -kImpossibleShare of the mean square is no rounding error any more: the sums
/// belong to different inputs.
constexpr double kImpossibleShare = 1e-3;

constexpr double kConstantShare = 1e-6;      // of the mean square: a variance that counts as 0
constexpr double kCorrelationGap = 0x1p-23;  // |correlation| stays so far below 1

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
torch::Tensor inverse_deviation(const torch::Tensor& mean_square, const torch::Tensor& mean) {
  const torch::Tensor variance = mean_square - mean.square();
  const torch::Tensor wrong = at::isfinite(variance).logical_not_().logical_or_(
      variance.lt(mean_square * -kImpossibleShare));
  if (wrong.any().item<bool>()) fail_variance(variance, wrong);
  const torch::Tensor varies = variance.gt(mean_square * kConstantShare);
  return at::where(varies, variance.rsqrt(), 0.0);
}

/// Means and deviations of the channels, and H with neighbouring columns.
struct Channels {
  torch::Tensor second_moment_sum;
  torch::Tensor mean;               // (N) float64
  torch::Tensor inverse_deviation;  // (N) float64
  double share = 0.0;               // 1 / tokens

  [[nodiscard]] torch::Tensor new_map() const {
    return at::empty_like(second_moment_sum, at::MemoryFormat::Contiguous);
  }

  /// Fills the maps that are defined.
  void correlate(const torch::Tensor& rho, const torch::Tensor& strength,
                 const torch::Tensor& nats) const {
    kernels::CorrelationMap map;
    map.second_moment_sum = quant::view_of<const float>(second_moment_sum);
    map.mean = mean.data_ptr<double>();
    map.inverse_deviation = inverse_deviation.data_ptr<double>();
    map.share = share;
    map.cap = 1.0 - kCorrelationGap;
    if (rho.defined()) map.rho = quant::view_of<float>(rho);
    if (strength.defined()) map.strength = quant::view_of<float>(strength);
    if (nats.defined()) map.nats = quant::view_of<float>(nats);
    kernels::correlate(map, quant::backend_of(second_moment_sum));
  }
};

Channels channels_of(const torch::Tensor& second_moment_sum, const torch::Tensor& channel_sum,
                     std::int64_t tokens) {
  check(second_moment_sum, channel_sum, tokens);
  Channels channels;
  channels.share = 1.0 / static_cast<double>(tokens);
  channels.second_moment_sum = second_moment_sum.contiguous();
  channels.mean = (channel_sum * channels.share).contiguous();
  channels.inverse_deviation =
      inverse_deviation(second_moment_sum.diagonal().to(torch::kFloat64) * channels.share,
                        channels.mean)
          .contiguous();
  return channels;
}

}  // namespace

torch::Tensor Correlation::affinity() const {
  torch::Tensor positive = rho.clamp_min(0.0);
  return positive.fill_diagonal_(0.0);
}

Correlation correlation(const torch::Tensor& second_moment_sum, const torch::Tensor& channel_sum,
                        std::int64_t tokens) {
  const Channels channels = channels_of(second_moment_sum, channel_sum, tokens);
  Correlation result;
  result.rho = channels.new_map();
  channels.correlate(result.rho, {}, {});
  return result;
}

MiMatrix gaussian_mi(const torch::Tensor& second_moment_sum, const torch::Tensor& channel_sum,
                     std::int64_t tokens, bool with_nats) {
  const Channels channels = channels_of(second_moment_sum, channel_sum, tokens);
  MiMatrix result;
  result.normalized = channels.new_map();
  if (with_nats) result.nats = channels.new_map();
  channels.correlate({}, result.normalized, result.nats);
  return result;
}

}  // namespace sgpt_mi::mi
