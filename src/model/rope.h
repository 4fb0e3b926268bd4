#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/model/spec.h"

namespace sgpt_mi::model {

/// Rotary frequencies, radians a position, one for each of the head_dim / 2 pairs.
///
/// Pair i of n has theta^(-i/n), changed by the spec's scaling as transformers does
/// (modeling_rope_utils.py): linear, llama3 and yarn for all windows, dynamic only for windows
/// longer than max_positions. Sources: Su et al. 2021, arXiv 2104.09864, eq. 15; yarn: Peng et al.
/// 2023, arXiv 2309.00071, section 3.2.
[[nodiscard]] std::vector<float> rope_frequencies(const ModelSpec& spec, std::int64_t seqlen);

/// cos and sin of position * frequency, each (T, 1, head_dim / 2).
struct RopeTable {
  torch::Tensor cos;
  torch::Tensor sin;
};

/// The table for positions 0 .. seqlen - 1, times the scaling's attention_factor, computed in
/// float32, stored as `options` says.
[[nodiscard]] RopeTable rope_table(const ModelSpec& spec, std::int64_t seqlen,
                                   const torch::TensorOptions& options);

/// Rotates every head of x (B, T, heads, head_dim) by its position. Element i is paired with
/// element i + head_dim / 2 (the Hugging Face order). The result has the wider type of the two.
[[nodiscard]] torch::Tensor apply_rope(const torch::Tensor& x, const RopeTable& table);

}  // namespace sgpt_mi::model
