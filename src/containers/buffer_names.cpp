#include "sgpt_mi/containers/buffer_names.h"

#include <algorithm>
#include <array>

namespace sgpt_mi::containers {
namespace {

/// Last parts of a name, whole words between dots.
constexpr std::array<std::string_view, 9> kEndings{
    "inv_freq",     "masked_bias", "attn.bias",  "attention.bias", "self_attn.bias",
    "position_ids", "causal_mask", "rope.freqs", "decoder.version"};

bool ends_with_parts(std::string_view name, std::string_view ending) {
  if (!name.ends_with(ending)) return false;
  return name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.';
}

}  // namespace

bool is_buffer_name(std::string_view name) {
  if (name.find(".rotary_emb.") != std::string_view::npos || name.starts_with("rotary_emb.")) {
    return true;
  }
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return ends_with_parts(name, ending); });
}

}  // namespace sgpt_mi::containers
