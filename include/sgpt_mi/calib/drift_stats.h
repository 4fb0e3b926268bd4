#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sgpt_mi::calib {

/// How far a linear's input x (N channels) has drifted from what it is in the dense model, xd, on
/// the same tokens; one per distinct input.
struct DriftStats {
  torch::Tensor cross_sum;  ///< (N, N) float32: sum over tokens of (xd - x) x^T, not symmetric
  /// (R, N) float32: sum over tokens of (rd - r) x^T, r the R channels of the residual stream that
  /// the linear's output is added to. Undefined where no two different streams were given: it is 0.
  torch::Tensor residual_sum;
  std::int64_t sequences = 0;
  double abs_sum = 0.0;  ///< sum over tokens and channels of |xd - x|

  /// C = (2 / sequences) * sum (xd - x) x^T, (N, N) float32: in the scale of LayerStats::hessian().
  [[nodiscard]] torch::Tensor cross() const;
  /// (2 / sequences) * sum (rd - r) x^T, (R, N) float32; undefined where residual_sum is.
  [[nodiscard]] torch::Tensor residual() const;
};

/// Running sums over batches of a linear's input in both models.
///
/// Two arguments that are the same tensor have not drifted, and cost nothing.
class DriftAccumulator {
 public:
  /// `name` appears in error messages (the site's first linear).
  DriftAccumulator(std::string name, std::int64_t channels, torch::Device device);

  /// Adds x_dense and x, both (B, T, N) = B sequences of T tokens. Differences are formed in
  /// float32, and so are products, but beside an x of a 16-bit type on a GPU, or of bfloat16 where
  /// the CPU multiplies that: there a difference is rounded to that type.
  /// Cost: one product of (N, tokens) and (tokens, N), far less where most of x_dense - x is zero,
  /// as after a ReLU; one temporary of x's size.
  /// Throws Error(kNumeric) naming the linear and the first index when a value is not finite.
  void add(const torch::Tensor& x_dense, const torch::Tensor& x);

  /// Adds the residual streams (B, T, R) that go with an x (B, T, N) that add() has seen.
  /// Throws as add() does. Cost: one product of (R, tokens) and (tokens, N).
  void add_residual(const torch::Tensor& residual_dense, const torch::Tensor& residual,
                    const torch::Tensor& x);

  /// What was added since take() was last called, kTaken tensors for a sum over lanes.
  [[nodiscard]] std::vector<torch::Tensor> take();
  static constexpr std::size_t kTaken = 4;
  /// The drift of a sum over what take() gave.
  [[nodiscard]] static DriftStats stats_of(const std::vector<torch::Tensor>& total);
  [[nodiscard]] DriftStats finish() { return stats_of(take()); }

 private:
  void start();
  /// add() of two different streams: with the CPU's own bfloat16, and with LibTorch.
  void add_in_bfloat16(const torch::Tensor& x_dense, const torch::Tensor& x);
  void add_single(const torch::Tensor& x_dense, const torch::Tensor& x);

  std::string name_;
  std::int64_t channels_;
  torch::Device device_;
  DriftStats stats_;
};

}  // namespace sgpt_mi::calib
