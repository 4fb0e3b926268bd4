#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "sgpt_mi/kernels/channel_sums.h"

namespace sgpt_mi::calib {

/// Running figures of N channels.
struct ChannelFigures {
  torch::Tensor sum;      ///< (N) float64: sum of x
  torch::Tensor abs_sum;  ///< (N) float64: sum of |x|
  torch::Tensor abs_max;  ///< (N) float32: largest |x|
};

[[nodiscard]] ChannelFigures zero_figures(std::int64_t channels, torch::Device device);

/// x (B, T, N) as (B * T, N) float32 with contiguous rows; x itself where it is that already.
[[nodiscard]] torch::Tensor token_rows(const torch::Tensor& x);

/// Adds x (tokens, N) float32 to the figures: by the kernel on the CPU, by LibTorch on a device,
/// where the number of non-zeros is not asked for and stays at "all".
[[nodiscard]] kernels::ChannelScan add_figures(const torch::Tensor& x, ChannelFigures& figures);

/// Throws Error(kNumeric) naming `what` and the first index when a value of x (B, T, N) is not
/// finite.
void require_finite_input(const torch::Tensor& x, const std::string& what);

}  // namespace sgpt_mi::calib
