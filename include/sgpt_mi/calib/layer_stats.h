#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "sgpt_mi/ranks/lane_sum.h"

namespace sgpt_mi::calib {

/// What is known about a linear's input x (N channels) after calibration; one per distinct input.
struct LayerStats {
  torch::Tensor second_moment_sum;  ///< (N, N) float32: sum over tokens of x x^T, symmetric
  torch::Tensor channel_sum;        ///< (N) float64: sum of x
  torch::Tensor channel_abs_sum;    ///< (N) float64: sum of |x|
  torch::Tensor channel_abs_max;    ///< (N) float32: largest |x|
  std::int64_t tokens = 0;
  std::int64_t sequences = 0;

  /// H = (2 / sequences) * sum x x^T, (N, N) float32: the constant of the SparseGPT code, which
  /// makes losses comparable with it and cancels everywhere else.
  [[nodiscard]] torch::Tensor hessian() const;
  /// Channels that fire but never change: second moment equal to squared mean.
  [[nodiscard]] std::int64_t constant_channels() const;
  /// Channels with over 100 times the median mean square of those that fire at all: the few that
  /// decide the range of all (Sun et al. 2024, arXiv 2402.17762).
  [[nodiscard]] std::int64_t massive_channels() const;
};

/// Running sums over batches of a linear's input.
class StatsAccumulator {
 public:
  /// `name` appears in error messages (the site's first linear).
  StatsAccumulator(std::string name, std::int64_t channels, torch::Device device);

  /// Adds x (B, T, N) = B sequences of T tokens. Products are formed in float32.
  /// Throws Error(kNumeric) naming the linear and the first index when x is not finite.
  void add(const torch::Tensor& x);

  /// What was added since take() was last called, for a sum over lanes.
  [[nodiscard]] ranks::LaneFigures take();
  /// The statistics of a sum over what take() gave.
  [[nodiscard]] static LayerStats stats_of(ranks::LaneFigures total);
  [[nodiscard]] LayerStats finish() { return stats_of(take()); }

 private:
  void start();

  std::string name_;
  std::int64_t channels_;
  torch::Device device_;
  LayerStats stats_;  // its second moment's upper half alone
};

}  // namespace sgpt_mi::calib
