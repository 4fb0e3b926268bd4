#pragma once

#include <torch/types.h>

#include <cstdint>

namespace sgpt_mi::tuning {

/// One of `steps` steps of Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1) whose rate rises
/// over the first fifth of them and falls linearly to 0.
struct AdamStep {
  double rate_share;    ///< of the full rate
  double mean_share;    ///< 1 - beta1^step, step from 1
  double square_share;  ///< 1 - beta2^step
};

[[nodiscard]] AdamStep adam_step(std::int64_t index, std::int64_t steps);

/// Numbers that Adam moves, from 0.
class Theta {
 public:
  /// \param rate  how far a step at the full rate moves a number whose gradient stays the same.
  Theta(at::IntArrayRef sizes, torch::Device device, double rate);

  [[nodiscard]] const torch::Tensor& value() const { return value_; }

  void scale(double factor) { value_.mul_(factor); }

  /// \param gradient  float32, of the numbers' shape.
  void move(const torch::Tensor& gradient, const AdamStep& step);

 private:
  double rate_;
  torch::Tensor value_;
  torch::Tensor mean_;
  torch::Tensor square_;
};

}  // namespace sgpt_mi::tuning
