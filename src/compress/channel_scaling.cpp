#include "channel_scaling.h"

#include <ATen/ops/maximum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

namespace sgpt_mi::compress {
namespace {

/// s (N) float32.
torch::Tensor wanted_scale(const model::Block& block, const std::vector<model::LinearInfo>& linears,
                           double alpha, const torch::Tensor& channel_abs_max) {
  torch::Tensor largest_weight;
  for (const model::LinearInfo& linear : linears) {
    const torch::Tensor largest = block.weight(linear.short_name).to(torch::kFloat32).abs().amax(0);
    largest_weight = largest_weight.defined() ? at::maximum(largest_weight, largest) : largest;
  }
  const torch::Tensor scalable = channel_abs_max.gt(0).logical_and(largest_weight.gt(0));
  const torch::Tensor ratio = channel_abs_max.pow(alpha) / largest_weight.pow(1.0 - alpha);
  const torch::Tensor logarithm = at::where(scalable, ratio, at::ones_like(ratio)).log();
  return (logarithm - logarithm.mean()).exp();
}

/// The dense stream's input of this site was taken before the fold: divided like x, it is the input
/// that the dense model has with the same fold.
void divide_drift(calib::DriftStats& drift, const torch::Tensor& scale) {
  drift.cross_sum.div_(scale.unsqueeze(0)).div_(scale.unsqueeze(1));
  if (drift.residual_sum.defined()) drift.residual_sum.div_(scale.unsqueeze(0));
}

void divide_statistics(walk::SiteInput& input, const torch::Tensor& scale) {
  calib::LayerStats& stats = input.stats;
  stats.second_moment_sum.div_(scale.unsqueeze(0)).div_(scale.unsqueeze(1));
  stats.channel_sum.div_(scale);
  stats.channel_abs_sum.div_(scale);
  stats.channel_abs_max.div_(scale);
  if (input.drift) {
    for (calib::DriftStats& half : *input.drift) divide_drift(half, scale);
  }
  if (input.samples.defined()) input.samples.div_(scale.unsqueeze(0));
}

}  // namespace

std::vector<std::pair<std::string, torch::Tensor>> fold_channel_scaling(
    model::Block& block, const std::vector<model::LinearInfo>& linears, double alpha,
    walk::SiteInput& input, const formats::SavedTypes& types) {
  const std::vector<model::NamedTensor> norm = block.norm_before(input.site);
  if (norm.empty()) return {};
  const model::LinearInfo& first = linears.front();
  const std::string prefix = first.name.substr(0, first.name.size() - first.short_name.size());
  torch::Tensor scale = wanted_scale(block, linears, alpha, input.stats.channel_abs_max);
  std::vector<std::pair<std::string, torch::Tensor>> saved;
  for (std::size_t i = 0; i < norm.size(); ++i) {
    const std::string name = prefix + norm[i].short_name;
    const torch::Tensor old = norm[i].value.to(torch::kFloat32);
    const torch::Tensor rounded = (old / scale).to(model::to_scalar_type(types.dtype_of(name)));
    if (i == 0) {  // the weight: from here on s is what the stored norm divides by
      const torch::Tensor stored = rounded.to(torch::kFloat32);
      scale = at::where(stored.eq(0), at::ones_like(scale), old / stored);
    }
    block.set_norm({norm[i].short_name, rounded});
    saved.emplace_back(name, rounded);
  }
  for (const model::LinearInfo& linear : linears) {
    block.set_weight(linear.short_name, block.weight(linear.short_name) * scale.unsqueeze(0));
  }
  divide_statistics(input, scale);
  return saved;
}

}  // namespace sgpt_mi::compress
