#pragma once

#include <torch/types.h>

#include <cstdint>

#include "sgpt_mi/mi/mi_matrix.h"

namespace sgpt_mi::mi {

/// Correlations of every pair of N channels.
struct Correlation {
  torch::Tensor rho;  ///< (N, N) float32, symmetric, capped; diagonal 1, 0 for constant channels

  /// The affinity max(0, rho) with diagonal 0, (N, N) float32: channels that move together. It
  /// differs from the mutual information in the sign: channels that move against each other share
  /// as much information, but have affinity 0 here.
  [[nodiscard]] torch::Tensor affinity() const;
};

/// Correlation of every pair of channels over calibration tokens, from sums:
///
///     rho_ij = (H_ij / T - mu_i mu_j) / (sigma_i sigma_j)
///
/// with H = second_moment_sum, mu = channel_sum / T and sigma^2 the diagonal of the numerator.
///
/// \param second_moment_sum  (N, N) float32, symmetric, CPU or CUDA: sum over tokens of x x^T.
/// \param channel_sum        (N) float64 on the same device: sum of x.
/// \param tokens             T, at least 4.
///
/// A channel counts as constant when its variance is at most 1e-6 of its mean square: the float32
/// second moment is off by some float32 epsilons. |rho| is capped at two float32 steps below 1, so
/// that two copies of one channel have finite information: 7.62 nats.
///
/// Differences are formed in float64, so that a mean much larger than the deviation costs no more
/// than the rounding already in H.
///
/// Cost: one pass over the upper part of H, O(N^2); no pass over data. Memory: the result.
///
/// \throws Error(kUsage)    fewer than 4 tokens.
/// \throws Error(kNumeric)  naming the channel: a variance that is not finite, or negative beyond
///                          rounding.
/// \throws Error(kInternal) tensors of other shapes, types or devices.
[[nodiscard]] Correlation correlation(const torch::Tensor& second_moment_sum,
                                      const torch::Tensor& channel_sum, std::int64_t tokens);

/// Mutual information of every pair of channels, as if they were jointly Gaussian:
///
///     I = -1/2 ln(1 - rho^2)    [nats]        normalized = sqrt(1 - exp(-2 I)) = |rho|
///
/// (Cover & Thomas, Elements of Information Theory, 2nd ed., Example 8.5.1.) For other
/// distributions it measures the linear part of the dependence.
///
/// \param with_nats  fills MiMatrix::nats too, one more (N, N).
///
/// Other parameters, cost and errors as correlation.
[[nodiscard]] MiMatrix gaussian_mi(const torch::Tensor& second_moment_sum,
                                   const torch::Tensor& channel_sum, std::int64_t tokens,
                                   bool with_nats = false);

}  // namespace sgpt_mi::mi
