#include "rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace sgpt_mi::model {

namespace {

/// The base for a window longer than the model's positions:
/// theta * (factor * T / P - (factor - 1))^(D / (D - 2)).
double dynamic_theta(const ModelSpec& spec, std::int64_t seqlen) {
  // At D = 2 the only frequency is theta^0: any base gives the same.
  if (spec.head_dim == 2) return spec.rope_theta;
  const double length = static_cast<double>(std::max(seqlen, spec.max_positions));
  const double factor = spec.rope_scaling.factor;
  const double stretch = factor * length / static_cast<double>(spec.max_positions) - (factor - 1.0);
  const double dims = static_cast<double>(spec.head_dim);
  return spec.rope_theta * std::pow(stretch, dims / (dims - 2.0));
}

/// Wavelengths above P / low_freq_factor are stretched, those below P / high_freq_factor kept.
double llama3_frequency(const RopeScaling& scaling, double frequency) {
  const double positions = static_cast<double>(scaling.original_max_positions);
  const double turns = positions * frequency / (2.0 * std::numbers::pi);
  const double kept = std::clamp(
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0,
      1.0);
  return (1.0 - kept) * frequency / scaling.factor + kept * frequency;
}

}  // namespace

std::vector<float> rope_frequencies(const ModelSpec& spec, std::int64_t seqlen) {
  const RopeScaling& scaling = spec.rope_scaling;
  const double theta =
      scaling.kind == RopeScaling::Kind::kDynamic ? dynamic_theta(spec, seqlen) : spec.rope_theta;
  const std::int64_t pairs = spec.head_dim / 2;
  std::vector<float> frequencies;
  frequencies.reserve(static_cast<std::size_t>(pairs));
  for (std::int64_t i = 0; i < pairs; ++i) {
    double frequency = std::pow(theta, -static_cast<double>(i) / static_cast<double>(pairs));
    if (scaling.kind == RopeScaling::Kind::kLinear) frequency /= scaling.factor;
    if (scaling.kind == RopeScaling::Kind::kLlama3)
      frequency = llama3_frequency(scaling, frequency);
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

RopeTable rope_table(const ModelSpec& spec, std::int64_t seqlen,
                     const torch::TensorOptions& options) {
  const auto float_options = options.dtype(torch::kFloat32);
  const torch::Tensor frequencies = at::tensor(rope_frequencies(spec, seqlen)).to(float_options);
  const torch::Tensor angles =
      at::outer(at::arange(seqlen, float_options), frequencies).unsqueeze(1);
  return {angles.cos().to(options), angles.sin().to(options)};
}

torch::Tensor apply_rope(const torch::Tensor& x, const RopeTable& table) {
  const std::int64_t half = x.size(-1) / 2;
  const torch::Tensor first = x.narrow(-1, 0, half);
  const torch::Tensor second = x.narrow(-1, half, half);
  torch::Tensor turned = x * at::cat({table.cos, table.cos}, -1);
  turned.narrow(-1, 0, half).sub_(second * table.sin);
  turned.narrow(-1, half, half).add_(first * table.sin);
  return turned;
}

}  // namespace sgpt_mi::model
