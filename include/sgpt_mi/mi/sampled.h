#pragma once

#include <torch/types.h>

#include <cstdint>

#include "sgpt_mi/mi/mi_matrix.h"

namespace sgpt_mi::mi {

/// Settings of sampled_mi.
struct SampledOptions {
  /// Of the tie-breaking noise.
  std::uint64_t seed = 0;
  /// Larger estimates of SampledCost::core_seconds are refused; > 0.
  double max_core_seconds = 600.0;
  /// Fill MiMatrix::nats too, one more (N, N).
  bool with_nats = false;
};

/// What sampled_mi is expected to take.
struct SampledCost {
  double core_seconds = 0.0;  ///< on one core of a present server; within a factor of about 3
  double bytes = 0.0;         ///< beyond the samples and the result
};

/// The cost of an estimator on N channels and T tokens: histogram O(N^2 T), ksg about
/// O(N^2 T^1.5), kde O(N^2 T^2). Throws Error(kInternal) for kGaussian, which takes no samples.
[[nodiscard]] SampledCost sampled_cost(std::int64_t channels, std::int64_t tokens,
                                       Estimator estimator);

/// Mutual information of every pair of channels, estimated from a sample of tokens.
///
/// histogram  Plug-in estimate on equal-frequency bins, I = H_i + H_j - H_ij with entropies of bin
///            frequencies. Equal values share a bin; a channel with no more distinct values than
///            bins has one bin per value, so that discrete channels are exact. Normalized:
///            2 I / (H_i + H_j). The number of bins B is the cube root of the tokens, rounded, at
///            least 2 and at most 32: the bias (B - 1)^2 / (2 T) falls as T^(-1/3) while the bins
///            get finer (Miller 1955).
/// kde        Resubstitution estimate mean ln(p_xy / (p_x p_y)) with Gaussian kernels of
/// Silverman's
///            bandwidth sigma T^(-1/6) for two dimensions, the same in the joint and the marginal
///            densities (Moon, Rajagopalan & Lall 1995).
/// ksg        Algorithm 1 of Kraskov, Stoegbauer & Grassberger (2004), equation 8: psi(k) + psi(T)
///            - mean(psi(n_x + 1) + psi(n_y + 1)), k = 3, maximum norm on channels scaled to unit
///            variance. The method wants continuous channels: one with equal values gets uniform
///            noise of 1e-10 of its deviation first, the remedy of the paper.
/// For kde and ksg normalized is sqrt(1 - exp(-2 max(I, 0))).
///
/// A channel whose sampled values are all equal is constant.
///
/// \param samples    (T, N) floating point, CPU or CUDA: inputs of the linear, one row a token.
/// \param estimator  not kGaussian: see gaussian_mi.
/// \return           tensors on the device of the samples. histogram and ksg compute on the CPU.
///
/// The same seed gives the same result; histogram and ksg with any number of threads.
///
/// \throws Error(kUsage)    fewer than 4 tokens, or a cost above
///                          max_core_seconds: the message gives both and what to do.
/// \throws Error(kNumeric)  naming the channel: a sample that is not finite.
/// \throws Error(kInternal) samples that are not (T, N) floating point; kGaussian.
[[nodiscard]] MiMatrix sampled_mi(const torch::Tensor& samples, Estimator estimator,
                                  const SampledOptions& options = {});

}  // namespace sgpt_mi::mi
