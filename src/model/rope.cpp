#include "rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "bfloat16_steps.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/bfloat16_steps.h"
#include "sgpt_mi/quant/tensor_view.h"  // backend_of

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

/// Where yarn's ramp begins and ends, counted in pairs: those that turn beta_fast and beta_slow
/// times within the original positions. What a pair is compared with lies within [0, head_dim - 1].
struct YarnRange {
  double low = 0.0;
  double high = 0.0;
};

YarnRange yarn_range(const ModelSpec& spec) {
  const RopeScaling& scaling = spec.rope_scaling;
  const auto dims = static_cast<double>(spec.head_dim);
  const auto pair_of = [&](double turns) {
    const double positions = static_cast<double>(scaling.original_max_positions);
    return dims * std::log(positions / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(spec.rope_theta));
  };
  YarnRange range{pair_of(scaling.beta_fast), pair_of(scaling.beta_slow)};
  if (scaling.truncate) range = {std::floor(range.low), std::ceil(range.high)};
  range = {std::max(range.low, 0.0), std::min(range.high, dims - 1.0)};
  constexpr double kLeastWidth = 0.001;  // of transformers and ggml: a step instead of 0 / 0
  if (range.low == range.high) range.high += kLeastWidth;
  return range;
}

double yarn_frequency(const RopeScaling& scaling, const YarnRange& range, double pair,
                      double frequency) {
  const double divided = std::clamp((pair - range.low) / (range.high - range.low), 0.0, 1.0);
  return divided * frequency / scaling.factor + (1.0 - divided) * frequency;
}

}  // namespace

std::vector<float> rope_frequencies(const ModelSpec& spec, std::int64_t seqlen) {
  const RopeScaling& scaling = spec.rope_scaling;
  const double theta =
      scaling.kind == RopeScaling::Kind::kDynamic ? dynamic_theta(spec, seqlen) : spec.rope_theta;
  const bool is_yarn = scaling.kind == RopeScaling::Kind::kYarn;
  const YarnRange range = is_yarn ? yarn_range(spec) : YarnRange{};
  const std::int64_t pairs = spec.head_dim / 2;
  std::vector<float> frequencies;
  frequencies.reserve(static_cast<std::size_t>(pairs));
  for (std::int64_t i = 0; i < pairs; ++i) {
    double frequency = std::pow(theta, -static_cast<double>(i) / static_cast<double>(pairs));
    if (scaling.kind == RopeScaling::Kind::kLinear) frequency /= scaling.factor;
    if (scaling.kind == RopeScaling::Kind::kLlama3)
      frequency = llama3_frequency(scaling, frequency);
    if (is_yarn) {
      frequency = yarn_frequency(scaling, range, static_cast<double>(i), frequency);
    }
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
  const double times = spec.rope_scaling.attention_factor;
  return {(angles.cos() * times).to(options), (angles.sin() * times).to(options)};
}

namespace {

torch::Tensor rotate_by_kernel(const torch::Tensor& x, const RopeTable& table) {
  ensure(table.cos.is_contiguous() && table.sin.is_contiguous() &&
             table.cos.numel() == x.size(1) * x.size(3) / 2,
         "model: a rope table for other positions");
  torch::Tensor output = at::empty(x.sizes(), x.options().dtype(torch::kFloat32));
  cpu_kernels::HeadRotation rotation;
  rotation.x = heads_view<const std::uint16_t>(bits_of(x), x);
  rotation.cos = table.cos.const_data_ptr<float>();
  rotation.sin = table.sin.const_data_ptr<float>();
  rotation.output = heads_view(output.data_ptr<float>(), output);
  rotation.sequences = x.size(0);
  rotation.tokens = x.size(1);
  rotation.heads = x.size(2);
  rotation.head_dim = x.size(3);
  cpu_kernels::rotate_heads(rotation, quant::backend_of(x));
  return output;
}

}  // namespace

torch::Tensor apply_rope(const torch::Tensor& x, const RopeTable& table) {
  if (takes_bfloat16_steps(x) && table.cos.scalar_type() == torch::kFloat32 && x.stride(-1) == 1) {
    return rotate_by_kernel(x, table);
  }
  const std::int64_t half = x.size(-1) / 2;
  const torch::Tensor first = x.narrow(-1, 0, half);
  const torch::Tensor second = x.narrow(-1, half, half);
  torch::Tensor turned = x * at::cat({table.cos, table.cos}, -1);
  turned.narrow(-1, 0, half).sub_(second * table.sin);
  turned.narrow(-1, half, half).add_(first * table.sin);
  return turned;
}

}  // namespace sgpt_mi::model
