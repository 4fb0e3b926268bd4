#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/model/model.h"

namespace sgpt_mi::test {

/// A checkpoint in memory.
class MemorySource : public containers::TensorSource {
 public:
  void put(const std::string& name, const torch::Tensor& tensor) {
    remove(name);
    const torch::Tensor kept = tensor.contiguous();
    infos_.push_back({name, model::from_scalar_type(kept.scalar_type()), kept.sizes().vec()});
    values_.push_back(kept);
  }

  void remove(const std::string& name) {
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      if (infos_[i].name != name) continue;
      infos_.erase(infos_.begin() + static_cast<std::ptrdiff_t>(i));
      values_.erase(values_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }

  [[nodiscard]] const torch::Tensor& value(const std::string& name) const {
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      if (infos_[i].name == name) return values_[i];
    }
    throw std::out_of_range("MemorySource has no " + name);
  }

  [[nodiscard]] const std::vector<containers::TensorInfo>& tensors() const override {
    return infos_;
  }

  [[nodiscard]] containers::TensorData read(const std::string& name) const override {
    const torch::Tensor& tensor = value(name);
    return {*find(name),
            {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()},
            std::make_shared<torch::Tensor>(tensor)};
  }

 private:
  std::vector<containers::TensorInfo> infos_;
  std::vector<torch::Tensor> values_;
};

/// A LLaMA of 2 layers, hidden 16, 4 heads, 2 KV heads, vocabulary 11, 64 positions, untied.
inline nlohmann::json tiny_llama_config() {
  return {{"model_type", "llama"},   {"num_hidden_layers", 2},        {"hidden_size", 16},
          {"intermediate_size", 24}, {"num_attention_heads", 4},      {"num_key_value_heads", 2},
          {"vocab_size", 11},        {"max_position_embeddings", 64}, {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-5},    {"tie_word_embeddings", false}};
}

/// An OPT of 2 layers, hidden 16, 4 heads, vocabulary 11, 64 positions, tied.
inline nlohmann::json tiny_opt_config() {
  return {{"model_type", "opt"},       {"num_hidden_layers", 2},
          {"hidden_size", 16},         {"ffn_dim", 24},
          {"num_attention_heads", 4},  {"vocab_size", 11},
          {"word_embed_proj_dim", 16}, {"max_position_embeddings", 64}};
}

/// Random weights for tiny_llama_config(), the same at every call.
inline MemorySource tiny_llama_tensors() {
  torch::manual_seed(1);
  MemorySource source;
  source.put("model.embed_tokens.weight", at::randn({11, 16}));
  source.put("model.norm.weight", at::rand({16}) + 0.5);
  source.put("lm_head.weight", at::randn({11, 16}));
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    source.put(prefix + "input_layernorm.weight", at::rand({16}) + 0.5);
    source.put(prefix + "post_attention_layernorm.weight", at::rand({16}) + 0.5);
    source.put(prefix + "self_attn.q_proj.weight", at::randn({16, 16}) * 0.5);
    source.put(prefix + "self_attn.k_proj.weight", at::randn({8, 16}) * 0.5);
    source.put(prefix + "self_attn.v_proj.weight", at::randn({8, 16}) * 0.5);
    source.put(prefix + "self_attn.o_proj.weight", at::randn({16, 16}) * 0.5);
    source.put(prefix + "mlp.gate_proj.weight", at::randn({24, 16}) * 0.5);
    source.put(prefix + "mlp.up_proj.weight", at::randn({24, 16}) * 0.5);
    source.put(prefix + "mlp.down_proj.weight", at::randn({16, 24}) * 0.5);
  }
  return source;
}

/// Random weights for tiny_opt_config() under `prefix`, the same at every call.
inline MemorySource tiny_opt_tensors(const std::string& prefix = "model.decoder.") {
  torch::manual_seed(2);
  MemorySource source;
  const auto put_pair = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    source.put(name + ".weight", at::randn({rows, columns}) * 0.5);
    source.put(name + ".bias", at::randn({rows}) * 0.5);
  };
  const auto put_norm = [&](const std::string& name) {
    source.put(name + ".weight", at::rand({16}) + 0.5);
    source.put(name + ".bias", at::randn({16}) * 0.1);
  };
  source.put(prefix + "embed_tokens.weight", at::randn({11, 16}));
  source.put(prefix + "embed_positions.weight", at::randn({66, 16}));
  put_norm(prefix + "final_layer_norm");
  for (int layer = 0; layer < 2; ++layer) {
    const std::string block = prefix + "layers." + std::to_string(layer) + ".";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      put_pair(block + "self_attn." + name, 16, 16);
    }
    put_pair(block + "fc1", 24, 16);
    put_pair(block + "fc2", 16, 24);
    put_norm(block + "self_attn_layer_norm");
    put_norm(block + "final_layer_norm");
  }
  return source;
}

/// Logits (B, T, vocab) of ids (B, T): the whole model at once.
inline torch::Tensor logits_of(model::Model& model, const torch::Tensor& ids,
                               const model::Placement& where = {}) {
  torch::Tensor hidden = model.embed(ids, where);
  for (std::int64_t layer = 0; layer < model.spec().layers; ++layer) {
    hidden = model.load_block(layer, where)->forward(hidden);
  }
  return model.logits(model.final_hidden(hidden, where), where);
}

}  // namespace sgpt_mi::test
