#include "architectures.h"
#include "bfloat16_steps.h"
#include "block_base.h"
#include "rope.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/bfloat16_steps.h"
#include "sgpt_mi/quant/tensor_view.h"  // backend_of

namespace sgpt_mi::model {

namespace {

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension; the quotient in float32 where x is
/// narrower. Source: Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4.
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  if (takes_bfloat16_steps(x, weight)) {
    ensure(weight.is_contiguous() && weight.numel() == x.size(-1), "model: a norm of another size");
    const torch::Tensor rows = x.contiguous();
    torch::Tensor out = at::empty(rows.sizes(), rows.options());
    cpu_kernels::rms_norm(const_rows_of(rows), bits_of(weight), static_cast<float>(eps),
                          rows_of(out), quant::backend_of(rows));
    return out;
  }
  const torch::Tensor wide = x.to(at::promote_types(x.scalar_type(), torch::kFloat32));
  const torch::Tensor norm = at::linalg_vector_norm(wide, 2, {-1}, /*keepdim=*/true);
  const double channels = static_cast<double>(x.size(-1));
  // Autograd keeps the norm itself, so it is not overwritten.
  const torch::Tensor scale = norm.square().div_(channels).add_(eps).rsqrt_();
  return (wide * scale).to(x.scalar_type()).mul_(weight);
}

/// activation(gate) * up; may write into both.
torch::Tensor gated(Activation activation, torch::Tensor gate, const torch::Tensor& up) {
  if (activation != Activation::kSilu || !takes_bfloat16_steps(gate, up)) {
    return activate(activation, std::move(gate)).mul_(up);
  }
  torch::Tensor out = at::empty(gate.sizes(), gate.options());
  cpu_kernels::swiglu(const_rows_of(gate), const_rows_of(up), rows_of(out),
                      quant::backend_of(gate));
  return out;
}

/// x + attention(norm(x)), then x + down(silu(gate(norm(x))) * up(norm(x))).
class LlamaBlock final : public BlockBase {
 public:
  using BlockBase::BlockBase;

  void advance(Site site, BlockState& state, const torch::Tensor& input) const override {
    switch (site) {
      case Site::kAttentionIn:
        state.pending = attention(input);
        break;
      case Site::kAttentionOut:
        finish_half("self_attn.o_proj", state, input);
        break;
      case Site::kMlpIn:
        state.pending =
            gated(spec().activation, linear("mlp.gate_proj", input), linear("mlp.up_proj", input));
        break;
      case Site::kMlpOut:
        finish_half("mlp.down_proj", state, input);
        break;
    }
  }

 private:
  [[nodiscard]] std::string norm_name(Site site) const override {
    if (site == Site::kAttentionIn) return "input_layernorm";
    return site == Site::kMlpIn ? "post_attention_layernorm" : "";
  }

  [[nodiscard]] torch::Tensor norm(const std::string& name, const torch::Tensor& x) const override {
    return rms_norm(x, tensor(name + ".weight"), spec().rms_norm_eps);
  }

  /// The linear's output split into heads: (B, T, heads, head_dim).
  [[nodiscard]] torch::Tensor heads(const std::string& name, const torch::Tensor& x) const {
    return linear(name, x).unflatten(-1, {-1, spec().head_dim});
  }

  [[nodiscard]] torch::Tensor attention(const torch::Tensor& x) const {
    torch::Tensor query = heads("self_attn.q_proj", x);
    torch::Tensor key = heads("self_attn.k_proj", x);
    if (spec().qk_norm) {
      query = norm("self_attn.q_norm", query);
      key = norm("self_attn.k_norm", key);
    }
    // Attention is computed in float32 where the kernels take a turn.
    const auto type = takes_bfloat16_steps(query, key) ? torch::kFloat32 : x.scalar_type();
    const RopeTable table = rope_table(spec(), x.size(1), x.options().dtype(type));
    const bool sliding = layer() >= spec().sliding_from_layer;
    return causal_attention(apply_rope(query, table), apply_rope(key, table),
                            heads("self_attn.v_proj", x),
                            sliding ? spec().sliding_window : std::nullopt);
  }

  void finish_half(const std::string& linear_name, BlockState& state,
                   const torch::Tensor& input) const {
    state.hidden = linear(linear_name, input).add_(state.hidden);
    state.pending.reset();
  }
};

}  // namespace

std::unique_ptr<Block> make_llama_block(BlockParts parts) {
  return std::make_unique<LlamaBlock>(std::move(parts));
}

torch::Tensor llama_embed(const ModelSpec&, const EndTensor&, const torch::Tensor& embedded) {
  return embedded;
}

torch::Tensor llama_final_hidden(const ModelSpec& spec, const EndTensor& end,
                                 const torch::Tensor& hidden) {
  return rms_norm(hidden, end("norm.weight"), spec.rms_norm_eps);
}

}  // namespace sgpt_mi::model
