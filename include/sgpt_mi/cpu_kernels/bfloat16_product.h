#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// Whether the processor has AMX tiles of bfloat16 and the system lets this process use them; asks
/// the system for that.
[[nodiscard]] bool has_bfloat16_tiles();

/// Whether the processor multiplies pairs of bfloat16 itself: by AVX512_BF16 about twice as fast as
/// float32, by AMX tiles, where the system lets this process use them, some 8 times as fast again.
[[nodiscard]] bool multiplies_bfloat16();

/// product_jk += sum over tokens of a_tj b_tk
///
/// of bfloat16 values given as their bits: a (tokens, N), b (tokens, M), product (N, M); a
/// and b may be one matrix.
///
/// Products are exact, sums float32, 512 tokens at a time, token after token; subnormal numbers
/// count as 0. Results do not depend on the number of threads.
///
/// CPU only, and only where multiplies_bfloat16(). Cost: N M tokens multiply-adds, N and M filled
/// up to multiples of 48 or 32; a KiB of memory a column of each matrix.
///
/// \throws Error(kInternal) shapes that disagree; a CUDA backend; another processor.
void add_bfloat16_product(const kernels::MatrixView<const std::uint16_t>& a,
                          const kernels::MatrixView<const std::uint16_t>& b,
                          const kernels::MatrixView<float>& product,
                          const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
