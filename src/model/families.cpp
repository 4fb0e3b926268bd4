#include "architectures.h"
#include "family.h"
#include "sgpt_mi/core/error.h"
#include "spec_parsers.h"

namespace sgpt_mi::model {

namespace {

bool always(const ModelSpec&) { return true; }

bool bias(const ModelSpec& spec) { return spec.bias; }
bool norm_affine(const ModelSpec& spec) { return spec.norm_affine; }
bool final_affine(const ModelSpec& spec) { return spec.final_norm && spec.norm_affine; }
bool projects(const ModelSpec& spec) { return spec.word_embed_dim != spec.hidden; }

Family opt() {
  return {
      .name = "opt",
      .model_types = {{"opt", parse_opt}},
      .prefixes = {"model.decoder.", "decoder.", "model.", ""},
      .linears = {{"self_attn.k_proj", Site::kAttentionIn, Dim::kHidden, Dim::kHidden, bias},
                  {"self_attn.v_proj", Site::kAttentionIn, Dim::kHidden, Dim::kHidden, bias},
                  {"self_attn.q_proj", Site::kAttentionIn, Dim::kHidden, Dim::kHidden, bias},
                  {"self_attn.out_proj", Site::kAttentionOut, Dim::kHidden, Dim::kHidden, bias},
                  {"fc1", Site::kMlpIn, Dim::kIntermediate, Dim::kHidden, bias},
                  {"fc2", Site::kMlpOut, Dim::kHidden, Dim::kIntermediate, bias}},
      .block_tensors = {{"self_attn_layer_norm.weight", {Dim::kHidden}, norm_affine},
                        {"self_attn_layer_norm.bias", {Dim::kHidden}, norm_affine},
                        {"final_layer_norm.weight", {Dim::kHidden}, norm_affine},
                        {"final_layer_norm.bias", {Dim::kHidden}, norm_affine}},
      .end_tensors = {{"embed_positions.weight", {Dim::kPositionRows, Dim::kHidden}, always},
                      {"project_in.weight", {Dim::kHidden, Dim::kWordEmbed}, projects},
                      {"final_layer_norm.weight", {Dim::kHidden}, final_affine},
                      {"final_layer_norm.bias", {Dim::kHidden}, final_affine},
                      {"project_out.weight", {Dim::kWordEmbed, Dim::kHidden}, projects}},
      .make_block = make_opt_block,
      .embed = opt_embed,
      .final_hidden = opt_final_hidden,
  };
}

bool qkv_bias(const ModelSpec& spec) { return spec.qkv_bias; }
bool o_bias(const ModelSpec& spec) { return spec.o_bias; }
bool mlp_bias(const ModelSpec& spec) { return spec.mlp_bias; }
bool qk_norm(const ModelSpec& spec) { return spec.qk_norm; }

Family llama() {
  return {
      .name = "llama",
      .model_types = {{"llama", parse_llama},
                      {"mistral", parse_mistral},
                      {"qwen2", parse_qwen2},
                      {"qwen3", parse_qwen3}},
      .prefixes = {"model.", ""},
      .linears = {{"self_attn.q_proj", Site::kAttentionIn, Dim::kQuery, Dim::kHidden, qkv_bias},
                  {"self_attn.k_proj", Site::kAttentionIn, Dim::kKeyValue, Dim::kHidden, qkv_bias},
                  {"self_attn.v_proj", Site::kAttentionIn, Dim::kKeyValue, Dim::kHidden, qkv_bias},
                  {"self_attn.o_proj", Site::kAttentionOut, Dim::kHidden, Dim::kQuery, o_bias},
                  {"mlp.gate_proj", Site::kMlpIn, Dim::kIntermediate, Dim::kHidden, mlp_bias},
                  {"mlp.up_proj", Site::kMlpIn, Dim::kIntermediate, Dim::kHidden, mlp_bias},
                  {"mlp.down_proj", Site::kMlpOut, Dim::kHidden, Dim::kIntermediate, mlp_bias}},
      .block_tensors = {{"input_layernorm.weight", {Dim::kHidden}, always},
                        {"self_attn.q_norm.weight", {Dim::kHeadDim}, qk_norm},
                        {"self_attn.k_norm.weight", {Dim::kHeadDim}, qk_norm},
                        {"post_attention_layernorm.weight", {Dim::kHidden}, always}},
      .end_tensors = {{"norm.weight", {Dim::kHidden}, always}},
      .make_block = make_llama_block,
      .embed = llama_embed,
      .final_hidden = llama_final_hidden,
  };
}

}  // namespace

std::int64_t size_of(Dim dim, const ModelSpec& spec) {
  switch (dim) {
    case Dim::kHidden:
      return spec.hidden;
    case Dim::kIntermediate:
      return spec.intermediate;
    case Dim::kQuery:
      return spec.heads * spec.head_dim;
    case Dim::kKeyValue:
      return spec.kv_heads * spec.head_dim;
    case Dim::kHeadDim:
      return spec.head_dim;
    case Dim::kVocab:
      return spec.vocab;
    case Dim::kWordEmbed:
      return spec.word_embed_dim;
    case Dim::kPositionRows:
      return spec.max_positions + kOptPositionOffset;
  }
  fail(ErrorKind::kInternal, "model: unknown Dim {}", static_cast<int>(dim));
}

const std::vector<Family>& families() {
  static const std::vector<Family> table{opt(), llama()};
  return table;
}

const Family& family_of(const ModelSpec& spec) {
  for (const Family& family : families()) {
    if (family.name == spec.family) return family;
  }
  fail(ErrorKind::kInternal, "model: no family \"{}\"; expected a spec from parse_model_spec",
       spec.family);
}

}  // namespace sgpt_mi::model
