#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// Figures of a difference a - b.
struct DifferenceScan {
  /// Whether every difference is finite, and stays so as a bfloat16.
  bool finite = true;
  std::int64_t nonzeros = 0;
  double abs_sum = 0.0;  ///< sum of |a - b|
};

/// rounded = a - b of bfloat16 matrices of one shape, all given as bits: the difference in float32,
/// rounded to bfloat16 (nearest, ties to even).
///
/// Magnitudes are summed in float32 over 32 tokens of a channel and in float64 beyond. Results do
/// not depend on the number of threads.
///
/// CPU only. Cost: a and b are read from memory once.
///
/// \throws Error(kInternal) shapes that disagree; a CUDA backend.
[[nodiscard]] DifferenceScan rounded_difference(const kernels::MatrixView<const std::uint16_t>& a,
                                                const kernels::MatrixView<const std::uint16_t>& b,
                                                const kernels::MatrixView<std::uint16_t>& rounded,
                                                const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
