#pragma once

#include <torch/types.h>

namespace sgpt_mi::widths {

/// What calibration says of each input channel j of a linear, (N) float64 on the weight's device.
struct ChannelMoments {
  torch::Tensor mean_abs;          ///< E |x_j|
  torch::Tensor mean_square;       ///< E x_j^2
  torch::Tensor variance;          ///< E x_j^2 - (E x_j)^2
  torch::Tensor inverse_diagonal;  ///< [H^-1]_jj of the damped H, any scale
};

/// Shares of the five terms of a channel's importance.
struct ImportanceWeights {
  double activation = 0.25;
  double hessian = 0.25;
  double weight = 0.15;
  double output = 0.25;
  double stability = 0.10;

  /// Throws Error(kUsage) when one is negative or not finite, or all are 0.
  void validate() const;
};

/// Importance of the N input channels of a linear, (N) float64 with mean 1:
///
///     activation  E |x_j|
///     hessian     mean_i W_ij^2 / [H^-1]_jj
///     weight      mean_i |W_ij|
///     output      mean_i |W_ij| * sqrt(E x_j^2)
///     stability   E x_j^2 - (E x_j)^2
///
/// Each term is divided by its mean over the channels (a term that is 0 everywhere counts as 1),
/// weighted and summed; the sum of the weights is divided out.
///
/// \param weight  (rows, N), any floating dtype.
/// Cost: two passes over the weights.
[[nodiscard]] torch::Tensor channel_importance(const torch::Tensor& weight,
                                               const ChannelMoments& moments,
                                               const ImportanceWeights& weights);

/// Contribution of each channel, mean_i |W_ij| * E |x_j|, (N) float64: the absolute score of the
/// method `toky`.
[[nodiscard]] torch::Tensor channel_contribution(const torch::Tensor& weight,
                                                 const torch::Tensor& mean_abs);

}  // namespace sgpt_mi::widths
