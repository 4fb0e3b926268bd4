#pragma once

#include <string_view>

namespace sgpt_mi::containers {

/// Whether a tensor is a buffer that reference programs save beside a decoder's weights: a constant
/// that follows from the config, or a leftover of older code. Nothing reads it.
///
/// inv_freq, cos_cached and whatever else lies in a rotary_emb; the causal masks of an attention
/// (masked_bias, attn.bias); position_ids; OPT's decoder.version. GPT-2's attention.bias is a mask,
/// too: no family that is read here has a bias of that name.
[[nodiscard]] bool is_buffer_name(std::string_view name);

}  // namespace sgpt_mi::containers
