#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// Running figures of N channels; each array has one number a channel.
struct ChannelSums {
  double* sum = nullptr;      ///< (N) added to: sum of x
  double* abs_sum = nullptr;  ///< (N) added to: sum of |x|
  float* abs_max = nullptr;   ///< (N) raised to: largest |x|
};

/// What add_channel_sums saw besides.
struct ChannelScan {
  /// Whether every x is finite and no eight |x| of a channel add up beyond the range of float32.
  bool finite = true;
  std::int64_t nonzeros = 0;
};

/// Adds x (tokens, N), rows `stride` apart, to the figures of its channels. When the result is not
/// `finite`, the sums are neither and the maxima ignore NaN.
///
/// Eight tokens at a time are summed in float32, everything else in float64: a sum is within
/// 7 * 2^-24 times the channel's sum of |x|. Results do not depend on the number of threads.
///
/// CPU only; a device has LibTorch's reductions. Cost: x is read from memory once.
///
/// \throws Error(kInternal) an array is missing; a CUDA backend.
[[nodiscard]] ChannelScan add_channel_sums(const kernels::MatrixView<const float>& x,
                                           const ChannelSums& sums,
                                           const kernels::Backend& backend);
/// The same, bit by bit, of the patterns of bfloat16.
[[nodiscard]] ChannelScan add_channel_sums(const kernels::MatrixView<const std::uint16_t>& x,
                                           const ChannelSums& sums,
                                           const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
