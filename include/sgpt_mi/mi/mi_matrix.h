#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace sgpt_mi::mi {

/// How the mutual information of two channels is estimated.
enum class Estimator : std::uint8_t {
  kGaussian,   ///< from their correlation: gaussian_mi
  kHistogram,  ///< plug-in estimate on equal-frequency bins: sampled_mi
  kKde,        ///< Gaussian kernel densities: sampled_mi
  kKsg         ///< nearest neighbours (Kraskov et al. 2004): sampled_mi
};

/// "gaussian", "histogram", "kde" or "ksg".
[[nodiscard]] std::string estimator_name(Estimator estimator);

/// The estimator of this name. Throws Error(kUsage) with the names that exist.
[[nodiscard]] Estimator parse_estimator(std::string_view name);

/// Mutual information I of every pair of N channels, in nats, as an affinity for clustering.
struct MiMatrix {
  /// (N, N) float32, symmetric, in [0, 1], diagonal 0. 0 is independent, 1 fully dependent:
  /// sqrt(1 - exp(-2 I)) (Linfoot 1957; |correlation| for Gaussian channels), for histograms
  /// 2 I / (H_i + H_j). Estimates below 0 count as 0.
  /// A channel that never changes shares information with nobody: row and column 0.
  torch::Tensor normalized;
  /// (N, N) float32, the estimates themselves, diagonal 0. Undefined unless asked for. kde and ksg
  /// can be below 0 for channels that share nothing.
  torch::Tensor nats;
};

}  // namespace sgpt_mi::mi
