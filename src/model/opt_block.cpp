#include "architectures.h"
#include "block_base.h"

namespace sgpt_mi::model {

namespace {

constexpr double kLayerNormEps = 1e-5;  // not a switch of OPT's config.json

/// x + attention(norm(x)), then x + mlp(norm(x)); post-norm models take the norms after the sums.
class OptBlock final : public BlockBase {
 public:
  using BlockBase::BlockBase;

  void advance(Site site, BlockState& state, const torch::Tensor& input) const override {
    switch (site) {
      case Site::kAttentionIn:
        state.pending = attention(input);
        break;
      case Site::kAttentionOut:
        finish_half("self_attn.out_proj", "self_attn_layer_norm", state, input);
        break;
      case Site::kMlpIn:
        state.pending = activate(spec().activation, linear("fc1", input));
        break;
      case Site::kMlpOut:
        finish_half("fc2", "final_layer_norm", state, input);
        break;
    }
  }

 private:
  /// Norms after the sums feed the residual stream too.
  [[nodiscard]] std::string norm_name(Site site) const override {
    if (!spec().norm_before) return {};
    if (site == Site::kAttentionIn) return "self_attn_layer_norm";
    return site == Site::kMlpIn ? "final_layer_norm" : "";
  }

  [[nodiscard]] torch::Tensor norm(const std::string& name, const torch::Tensor& x) const override {
    return at::layer_norm(x, {spec().hidden}, optional_tensor(name + ".weight"),
                          optional_tensor(name + ".bias"), kLayerNormEps);
  }

  [[nodiscard]] torch::Tensor attention(const torch::Tensor& x) const {
    const std::vector<std::int64_t> heads{spec().heads, spec().head_dim};
    return causal_attention(linear("self_attn.q_proj", x).unflatten(-1, heads),
                            linear("self_attn.k_proj", x).unflatten(-1, heads),
                            linear("self_attn.v_proj", x).unflatten(-1, heads), std::nullopt);
  }

  void finish_half(const std::string& linear_name, const std::string& norm_name, BlockState& state,
                   const torch::Tensor& input) const {
    state.hidden = linear(linear_name, input).add_(state.hidden);
    if (!spec().norm_before) state.hidden = norm(norm_name, state.hidden);
    state.pending.reset();
  }
};

}  // namespace

std::unique_ptr<Block> make_opt_block(BlockParts parts) {
  return std::make_unique<OptBlock>(std::move(parts));
}

torch::Tensor opt_embed(const ModelSpec& spec, const EndTensor& end,
                        const torch::Tensor& embedded) {
  const torch::Tensor positions =
      end("embed_positions.weight").narrow(0, kOptPositionOffset, embedded.size(1));
  if (spec.word_embed_dim == spec.hidden) return embedded + positions;
  return at::linear(embedded, end("project_in.weight")) + positions;
}

torch::Tensor opt_final_hidden(const ModelSpec& spec, const EndTensor& end,
                               const torch::Tensor& hidden) {
  torch::Tensor x = hidden;
  if (spec.final_norm && spec.norm_affine) {
    x = at::layer_norm(x, {spec.hidden}, end("final_layer_norm.weight"),
                       end("final_layer_norm.bias"), kLayerNormEps);
  } else if (spec.final_norm) {
    x = at::layer_norm(x, {spec.hidden}, {}, {}, kLayerNormEps);
  }
  if (spec.word_embed_dim != spec.hidden) x = at::linear(x, end("project_out.weight"));
  return x;
}

}  // namespace sgpt_mi::model
