#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "estimates.h"

namespace sgpt_mi::mi {
namespace {

/// (N, T) float32: the channels in units of sqrt(2) bandwidths, so that a kernel is exp(-d^2).
torch::Tensor in_kernel_units(const torch::Tensor& samples) {
  const torch::Tensor values = samples.t().to(torch::kFloat64);
  const torch::Tensor centred = values - values.mean(1, /*keepdim=*/true);
  const torch::Tensor deviation = centred.square().mean(1, /*keepdim=*/true).sqrt_();
  // Silverman's (4 / (d + 2))^(1 / (d + 4)) T^(-1 / (d + 4)) in d = 2 dimensions.
  const double bandwidth = std::pow(static_cast<double>(samples.size(0)), -1.0 / 6.0);
  const torch::Tensor unit = deviation * (std::sqrt(2.0) * bandwidth);
  // A constant channel is 0 everywhere whatever its unit.
  return centred.div_(unit.masked_fill_(unit.eq(0), 1.0)).to(torch::kFloat32).contiguous();
}

}  // namespace

/// With A_t (N, T) the kernel values between token t and all tokens, the joint densities of all
/// pairs at t are the elements of A_t A_t^T: one matrix product a token. Its own kernel keeps every
/// density above 0, even of a token far from all others.
void kde_mi(const torch::Tensor& samples, const PairOutput& output) {
  const torch::Tensor values = in_kernel_units(samples);
  const std::int64_t channels = values.size(0);
  const std::int64_t tokens = values.size(1);
  torch::Tensor joint_logs = at::zeros({channels, channels}, values.options());
  torch::Tensor marginal_logs = at::zeros({channels}, values.options().dtype(torch::kFloat64));
  for (std::int64_t t = 0; t < tokens; ++t) {
    const torch::Tensor kernels = (values - values.narrow(1, t, 1)).square_().neg_().exp_();
    joint_logs.add_(at::mm(kernels, kernels.t()).log_());
    marginal_logs.add_(kernels.sum(1).log_());
  }
  const auto count = static_cast<double>(tokens);
  const torch::Tensor marginal = marginal_logs.div_(count).to(torch::kFloat32);
  joint_logs.div_(count).sub_(marginal).sub_(marginal.unsqueeze(1)).add_(std::log(count));
  // The two halves of a matrix product may differ in the last bits.
  torch::Tensor nats = (joint_logs + joint_logs.t()).mul_(0.5);
  if (output.nats.defined()) output.nats.copy_(nats);
  output.normalized.copy_(nats.clamp_min_(0.0).mul_(-2.0).expm1_().abs_().sqrt_());
}

}  // namespace sgpt_mi::mi
