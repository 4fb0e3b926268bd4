#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "sgpt_mi/cpu_kernels/channel_sums.h"
#include "sgpt_mi/kernels/views.h"

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

/// token_rows(x) in x's own type.
[[nodiscard]] torch::Tensor stored_rows(const torch::Tensor& x);

/// x (tokens, N) of bfloat16 with contiguous rows, on the CPU, as a kernel's matrix of bits. The
/// tensor keeps the memory.
[[nodiscard]] kernels::MatrixView<std::uint16_t> bits_of(const torch::Tensor& x);
[[nodiscard]] kernels::MatrixView<const std::uint16_t> const_bits_of(const torch::Tensor& x);

/// token_rows(x) in x's own 16-bit type where add_product() takes that: on a GPU.
[[nodiscard]] torch::Tensor product_rows(const torch::Tensor& x);

/// sum (N, M) float32 += a^T b for a (tokens, N), b (tokens, M), both float32 or, on a GPU, both of
/// one 16-bit type: products of such values are exact in float32, in which the GPU adds them up, at
/// some ten times the speed.
void add_product(const torch::Tensor& a, const torch::Tensor& b, torch::Tensor sum);

/// Adds x (tokens, N) to the figures: float32 and bfloat16 by the kernel on the CPU, any type by
/// LibTorch on a device, where the number of non-zeros is not asked for and stays at "all".
[[nodiscard]] cpu_kernels::ChannelScan add_figures(const torch::Tensor& x, ChannelFigures& figures);

/// Throws Error(kNumeric) naming `what` and the first index when a value of x (B, T, N) is not
/// finite.
void require_finite_input(const torch::Tensor& x, const std::string& what);

}  // namespace sgpt_mi::calib
