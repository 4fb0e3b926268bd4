#pragma once

#include <cstdint>

#include "sgpt_mi/cpu_kernels/causal_attention.h"
#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::cpu_kernels {

// What a block does between its products, on bfloat16 matrices given as bits. Each is read once,
// computed in float32 and written once; LibTorch passes over memory for every operation. NaN stays
// NaN. Results depend neither on the number of threads nor on the
// instruction set.
//
// CPU only. Outputs overlap no input. All throw Error(kInternal): shapes that disagree; a CUDA
// backend.

/// out = bfloat16(x / sqrt(mean(x^2) + eps)) * weight along every row, rounded twice as
/// transformers does; weight (columns).
/// Source: Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4.
void rms_norm(const kernels::MatrixView<const std::uint16_t>& x, const std::uint16_t* weight,
              float eps, const kernels::MatrixView<std::uint16_t>& out,
              const kernels::Backend& backend);

/// out = gate * sigmoid(gate) * up, rounded once; sigmoid within 4 units in the last place of a
/// float32, and never below 2^-64 (gates below -44 pass on that share of themselves). Source:
/// Shazeer 2020, arXiv 2002.05202, SwiGLU.
void swiglu(const kernels::MatrixView<const std::uint16_t>& gate,
            const kernels::MatrixView<const std::uint16_t>& up,
            const kernels::MatrixView<std::uint16_t>& out, const kernels::Backend& backend);

/// The arguments of rotate_heads: B sequences of T tokens, heads of D elements, D even.
struct HeadRotation {
  HeadsView<const std::uint16_t> x;  ///< (B, T, heads, D)
  const float* cos = nullptr;        ///< (T, D / 2)
  const float* sin = nullptr;        ///< (T, D / 2)
  HeadsView<float> output;           ///< (B, T, heads, D) out; not rounded
  std::int64_t sequences = 0;        ///< B
  std::int64_t tokens = 0;           ///< T
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;  ///< D
};

/// Rotates element d and element d + D / 2 of every head by the angle of their token:
///
///     output_d = x_d cos - x_(d + D/2) sin,    output_(d + D/2) = x_(d + D/2) cos + x_d sin
///
/// Source: Su et al. 2021, arXiv 2104.09864, eq. 15, in the order of Hugging Face.
void rotate_heads(const HeadRotation& rotation, const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
