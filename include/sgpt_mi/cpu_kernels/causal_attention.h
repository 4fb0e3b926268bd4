#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"

namespace sgpt_mi::cpu_kernels {

/// Vectors of several heads for the tokens of several sequences, owned by somebody else: element d
/// of a vector at data[sequence * sequence_stride + token * token_stride + head * head_stride + d].
template <typename T>
struct HeadsView {
  T* data = nullptr;
  std::int64_t sequence_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  [[nodiscard]] constexpr T* head(std::int64_t sequence, std::int64_t head) const {
    return data + sequence * sequence_stride + head * head_stride;
  }
};

/// The arguments of causal_attention: B sequences of T tokens, heads of D elements.
struct CausalAttention {
  HeadsView<const float> query;  ///< (B, T, heads, D)
  HeadsView<const float> key;    ///< (B, T, kv_heads, D)
  HeadsView<const float> value;  ///< (B, T, kv_heads, D)
  HeadsView<float> output;       ///< (B, T, heads, D) out; overlaps nothing
  std::int64_t sequences = 0;    ///< B
  std::int64_t tokens = 0;       ///< T
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  ///< divides heads; query head h reads key head h * kv_heads / heads
  std::int64_t head_dim = 0;  ///< D, any; multiples of 16 waste nothing
  std::int64_t window = 0;    ///< a token sees itself and the window - 1 tokens before it; 0: all
  float scale = 1.0F;
};

/// Scaled dot-product attention with a causal mask:
///
///     output_i = sum_j softmax_j(scale * <query_i, key_j>) value_j      over j <= i
///
/// (Vaswani et al. 2017, arXiv 1706.03762, eq. 1), and over j > i - window with a window. The sums
/// are float32; the exponentials are within 2 units in the last place of those of the rounded
/// scores, and weights below 2^-100 of a row's largest count as 0. A NaN among a token's own query
/// and the keys it sees makes its output NaN. Results do not depend on the number of threads; they
/// differ in rounding between instruction sets, and from LibTorch's.
///
/// A few queries are taken at a time against all their keys, so the scores stay in the first-level
/// cache for windows of a few thousand tokens. CPU only: on a device LibTorch's attention is used.
///
/// Cost: 2 B heads T^2 D multiply-adds less the masked half; per thread 12 T D bytes for
/// queries, keys and values, and at most 48 T for scores.
///
/// \throws Error(kInternal) sizes that disagree; a CUDA backend.
void causal_attention(const CausalAttention& attention, const kernels::Backend& backend);

}  // namespace sgpt_mi::cpu_kernels
