#pragma once

#include <cstdint>
#include <span>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

/// Whether the processor has AMX tiles of bfloat16 and the system lets this process use them; asks
/// the system for that.
[[nodiscard]] bool has_bfloat16_tiles();

/// product_jk += sum over tokens and parts of a_tj b_tk
///
/// of bfloat16 values given as their bits: a (tokens, N) is the sum of one or more `parts`, b
/// (tokens, M), product (N, M). A float32 matrix in two parts (split_difference.h) keeps at least
/// 16 of its 24 bits, and is multiplied much faster than in float32.
///
/// Products are exact, sums float32, 512 tokens at a time, token after token; subnormal numbers
/// count as 0. Results do not depend on the number of threads.
///
/// CPU only, and only where has_bfloat16_tiles(). Cost: parts N M tokens multiply-adds, N and M
/// filled up to multiples of 32, at some 16 times the rate of float32; a KiB of memory a column of
/// each matrix.
///
/// \throws Error(kInternal) shapes that disagree; no parts; a CUDA backend; no tiles.
void add_tile_product(std::span<const kernels::MatrixView<const std::uint16_t>> parts,
                      const kernels::MatrixView<const std::uint16_t>& b,
                      const kernels::MatrixView<float>& product, const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
