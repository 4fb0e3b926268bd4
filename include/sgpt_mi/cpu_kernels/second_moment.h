#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// second_moment_jk += sum over tokens of x_tj x_tk   for j <= k,
///
/// of x (tokens, N) into (N, N). Below the diagonal only the blocks of 48 or 32 columns that the
/// diagonal crosses are written, with values of no use.
///
/// Sums are float32 with fused multiply-adds, 512 tokens at a time, token after token. Results do
/// not depend on the number of threads; they differ in rounding between instruction sets.
///
/// CPU only. Cost: tokens N (N + 48) / 2 multiply-adds near the processor's peak rate, of AVX-512
/// or AVX2 where it has them, and 2 KiB of memory a column.
///
/// \throws Error(kInternal) shapes that disagree; a CUDA backend.
void add_second_moment(const kernels::MatrixView<const float>& x,
                       const kernels::MatrixView<float>& second_moment,
                       const kernels::Backend& backend);

/// The same of bfloat16 values, given as their bits: products are exact, sums float32, subnormal
/// numbers count as 0. Only where multiplies_bfloat16() (bfloat16_product.h).
void add_second_moment(const kernels::MatrixView<const std::uint16_t>& x,
                       const kernels::MatrixView<float>& second_moment,
                       const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
