#include "published_shapes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace sgpt_mi::model {
namespace {

enum class Kind : std::uint8_t { kOpt, kLlama, kMistral };

/// One row a model, from the config.json files on the Hugging Face Hub.
struct Shape {
  std::string_view name;
  Kind kind;
  std::int64_t layers;
  std::int64_t hidden;
  std::int64_t intermediate;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t vocab;
  std::int64_t positions;
};

constexpr std::array<Shape, 16> kShapes{{
    {"opt-125m", Kind::kOpt, 12, 768, 3072, 12, 12, 50272, 2048},
    {"opt-1.3b", Kind::kOpt, 24, 2048, 8192, 32, 32, 50272, 2048},
    {"opt-2.7b", Kind::kOpt, 32, 2560, 10240, 32, 32, 50272, 2048},
    {"opt-6.7b", Kind::kOpt, 32, 4096, 16384, 32, 32, 50272, 2048},
    {"opt-13b", Kind::kOpt, 40, 5120, 20480, 40, 40, 50272, 2048},
    {"opt-30b", Kind::kOpt, 48, 7168, 28672, 56, 56, 50272, 2048},
    {"opt-66b", Kind::kOpt, 64, 9216, 36864, 72, 72, 50272, 2048},
    {"llama-7b", Kind::kLlama, 32, 4096, 11008, 32, 32, 32000, 2048},
    {"llama-13b", Kind::kLlama, 40, 5120, 13824, 40, 40, 32000, 2048},
    {"vicuna-13b", Kind::kLlama, 40, 5120, 13824, 40, 40, 32000, 4096},
    {"llama-30b", Kind::kLlama, 60, 6656, 17920, 52, 52, 32000, 2048},
    {"llama-65b", Kind::kLlama, 80, 8192, 22016, 64, 64, 32000, 2048},
    {"llama-2-7b", Kind::kLlama, 32, 4096, 11008, 32, 32, 32000, 4096},
    {"llama-2-70b", Kind::kLlama, 80, 8192, 28672, 64, 8, 32000, 4096},
    {"llama-3-8b", Kind::kLlama, 32, 4096, 14336, 32, 8, 128256, 8192},
    {"mistral-7b", Kind::kMistral, 32, 4096, 14336, 32, 8, 32000, 32768},
}};

nlohmann::json config_of(const Shape& shape) {
  nlohmann::json config{{"num_hidden_layers", shape.layers},          {"hidden_size", shape.hidden},
                        {"num_attention_heads", shape.heads},         {"vocab_size", shape.vocab},
                        {"max_position_embeddings", shape.positions}, {"torch_dtype", "float16"}};
  if (shape.kind == Kind::kOpt) {
    config.update({{"model_type", "opt"},
                   {"architectures", {"OPTForCausalLM"}},
                   {"ffn_dim", shape.intermediate},
                   {"word_embed_proj_dim", shape.hidden},
                   {"activation_function", "relu"},
                   {"do_layer_norm_before", true}});
    return config;
  }
  const bool mistral = shape.kind == Kind::kMistral;
  config.update({{"model_type", mistral ? "mistral" : "llama"},
                 {"architectures", {mistral ? "MistralForCausalLM" : "LlamaForCausalLM"}},
                 {"intermediate_size", shape.intermediate},
                 {"num_key_value_heads", shape.kv_heads},
                 {"hidden_act", "silu"},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", shape.vocab == 128256 ? 500000.0 : 10000.0},
                 {"tie_word_embeddings", false}});
  return config;
}

}  // namespace

std::optional<nlohmann::json> published_config(const std::string& name) {
  const auto* const found = std::find_if(kShapes.begin(), kShapes.end(),
                                         [&](const Shape& shape) { return shape.name == name; });
  if (found == kShapes.end()) return std::nullopt;
  return config_of(*found);
}

std::vector<std::string> published_names() {
  std::vector<std::string> names;
  names.reserve(kShapes.size());
  for (const Shape& shape : kShapes) names.emplace_back(shape.name);
  return names;
}

}  // namespace sgpt_mi::model
