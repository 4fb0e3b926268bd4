#include "adam.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace sgpt_mi::tuning {
namespace {

// Decay rates and epsilon as published.
constexpr double kMeanDecay = 0.9;
constexpr double kSquareDecay = 0.999;
constexpr double kEpsilon = 1e-8;
/// Share of the steps in which the rate rises: the first ones are of one size whatever the gradient
/// is. Chosen by the divergence on windows that were not tuned on.
constexpr double kWarmUp = 0.2;

}  // namespace

AdamStep adam_step(std::int64_t index, std::int64_t steps) {
  const auto done = static_cast<double>(index);
  const double warming = kWarmUp * static_cast<double>(steps);
  const double warm = std::min(1.0, (done + 1.0) / (warming + 1.0));
  return {warm * (1.0 - done / static_cast<double>(steps)), 1.0 - std::pow(kMeanDecay, done + 1.0),
          1.0 - std::pow(kSquareDecay, done + 1.0)};
}

Theta::Theta(at::IntArrayRef sizes, torch::Device device, double rate)
    : rate_(rate),
      value_(at::zeros(sizes, torch::TensorOptions().device(device).dtype(torch::kFloat32))),
      mean_(at::zeros_like(value_)),
      square_(at::zeros_like(value_)) {}

void Theta::move(const torch::Tensor& gradient, const AdamStep& step) {
  mean_.lerp_(gradient, 1.0 - kMeanDecay);
  square_.mul_(kSquareDecay).addcmul_(gradient, gradient, 1.0 - kSquareDecay);
  const torch::Tensor size = (square_ / step.square_share).sqrt_().add_(kEpsilon);
  value_.addcdiv_(mean_, size, -rate_ * step.rate_share / step.mean_share);
}

}  // namespace sgpt_mi::tuning
