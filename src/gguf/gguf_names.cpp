#include "gguf_names.h"

#include <spdlog/fmt/fmt.h>

#include <array>

namespace sgpt_mi::gguf {
namespace {

struct NamePair {
  std::string_view gguf;
  std::string_view hugging_face;
};

/// Without the "model." that most Hugging Face names have in front.
constexpr std::array<NamePair, 2> kModelNames{
    {{"token_embd.weight", "embed_tokens.weight"}, {"output_norm.weight", "norm.weight"}}};

constexpr NamePair kHead{"output.weight", "lm_head.weight"};

constexpr std::array<NamePair, 11> kBlockNames{{{"attn_norm", "input_layernorm"},
                                                {"attn_q", "self_attn.q_proj"},
                                                {"attn_k", "self_attn.k_proj"},
                                                {"attn_v", "self_attn.v_proj"},
                                                {"attn_output", "self_attn.o_proj"},
                                                {"attn_q_norm", "self_attn.q_norm"},
                                                {"attn_k_norm", "self_attn.k_norm"},
                                                {"ffn_norm", "post_attention_layernorm"},
                                                {"ffn_gate", "mlp.gate_proj"},
                                                {"ffn_up", "mlp.up_proj"},
                                                {"ffn_down", "mlp.down_proj"}}};

constexpr std::string_view kModelPrefix = "model.";

/// "PREFIX N.PART.SUFFIX" with a number N, taken apart.
std::optional<BlockName> split_name(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const std::size_t layer_end = name.find_first_not_of("0123456789");
  const std::size_t suffix = name.rfind('.');
  if (layer_end == 0 || layer_end == std::string_view::npos || name[layer_end] != '.' ||
      suffix <= layer_end) {
    return std::nullopt;
  }
  return BlockName{name.substr(0, layer_end), name.substr(layer_end + 1, suffix - layer_end - 1),
                   name.substr(suffix)};
}

bool has_known_suffix(const BlockName& block) {
  return block.suffix == ".weight" || block.suffix == ".bias";
}

}  // namespace

std::optional<BlockName> split_block_name(std::string_view name) {
  return split_name(name, "blk.");
}

std::optional<std::string> hugging_face_name(const std::string& name) {
  if (name == kHead.gguf) return std::string(kHead.hugging_face);
  for (const NamePair& pair : kModelNames) {
    if (pair.gguf == name) return fmt::format("{}{}", kModelPrefix, pair.hugging_face);
  }
  const std::optional<BlockName> block = split_block_name(name);
  if (!block || !has_known_suffix(*block)) return std::nullopt;
  for (const NamePair& pair : kBlockNames) {
    if (pair.gguf == block->part) {
      return fmt::format("{}layers.{}.{}{}", kModelPrefix, block->layer, pair.hugging_face,
                         block->suffix);
    }
  }
  return std::nullopt;
}

std::optional<std::string> gguf_name(const std::string& name) {
  if (name == kHead.hugging_face) return std::string(kHead.gguf);
  std::string_view inside = name;
  if (inside.starts_with(kModelPrefix)) inside.remove_prefix(kModelPrefix.size());
  for (const NamePair& pair : kModelNames) {
    if (pair.hugging_face == inside) return std::string(pair.gguf);
  }
  const std::optional<BlockName> block = split_name(inside, "layers.");
  if (!block || !has_known_suffix(*block)) return std::nullopt;
  for (const NamePair& pair : kBlockNames) {
    if (pair.hugging_face == block->part) {
      return fmt::format("blk.{}.{}{}", block->layer, pair.gguf, block->suffix);
    }
  }
  return std::nullopt;
}

PairedRows paired_rows(const std::string& gguf_name, const std::string& architecture) {
  const std::optional<BlockName> block = split_block_name(gguf_name);
  if (architecture != "llama" || !block) return PairedRows::kNone;
  if (block->part == "attn_q") return PairedRows::kQuery;
  return block->part == "attn_k" ? PairedRows::kKey : PairedRows::kNone;
}

}  // namespace sgpt_mi::gguf
