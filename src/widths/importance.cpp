#include "sgpt_mi/widths/importance.h"

#include <ATen/ops/zeros_like.h>

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::widths {
namespace {

/// The weights' mean of each column after a function of float64 panels would cost a float64 copy of
/// the matrix; float32 terms summed in float64 are exact enough for a score.
torch::Tensor column_mean(const torch::Tensor& terms) {
  return terms.sum(0, /*keepdim=*/false, torch::kFloat64) / static_cast<double>(terms.size(0));
}

/// A term with mean 1.
torch::Tensor by_its_mean(const torch::Tensor& term) {
  const double mean = term.mean().item<double>();
  if (!(mean > 0.0)) return at::zeros_like(term).add_(1.0);
  return term / mean;
}

}  // namespace

void ImportanceWeights::validate() const {
  const std::array<std::pair<std::string_view, double>, 5> terms{{{"activation", activation},
                                                                  {"hessian", hessian},
                                                                  {"weight", weight},
                                                                  {"output", output},
                                                                  {"stability", stability}}};
  double sum = 0.0;
  for (const auto& [name, share] : terms) {
    if (!std::isfinite(share) || share < 0.0) {
      fail(ErrorKind::kUsage,
           "obs: the importance weight of {} is {}; expected a share of 0 or more", name, share);
    }
    sum += share;
  }
  if (!(sum > 0.0)) {
    fail(ErrorKind::kUsage,
         "obs: all five importance weights are 0; at least one must be positive");
  }
}

torch::Tensor channel_importance(const torch::Tensor& weight, const ChannelMoments& moments,
                                 const ImportanceWeights& weights) {
  weights.validate();
  const torch::Tensor matrix = weight.to(torch::kFloat32);
  const torch::Tensor mean_abs_weight = column_mean(matrix.abs());
  const torch::Tensor mean_square_weight = column_mean(matrix.square());
  const std::array<std::pair<double, torch::Tensor>, 5> terms{
      {{weights.activation, moments.mean_abs},
       {weights.hessian, mean_square_weight / moments.inverse_diagonal},
       {weights.weight, mean_abs_weight},
       {weights.output, mean_abs_weight * moments.mean_square.sqrt()},
       {weights.stability, moments.variance}}};
  torch::Tensor importance = at::zeros_like(mean_abs_weight);
  double shares = 0.0;
  for (const auto& [share, term] : terms) {
    importance += share * by_its_mean(term);
    shares += share;
  }
  return importance / shares;
}

torch::Tensor channel_contribution(const torch::Tensor& weight, const torch::Tensor& mean_abs) {
  return column_mean(weight.to(torch::kFloat32).abs()) * mean_abs;
}

}  // namespace sgpt_mi::widths
