#include "sgpt_mi/model/spec.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "config_reader.h"
#include "family.h"
#include "sgpt_mi/core/error.h"
#include "spec_parsers.h"

namespace sgpt_mi::model {

namespace {

constexpr std::array<std::pair<std::string_view, Activation>, 7> kActivations{
    {{"relu", Activation::kRelu},
     {"gelu", Activation::kGelu},
     {"gelu_new", Activation::kGeluTanh},
     {"gelu_fast", Activation::kGeluTanh},
     {"gelu_pytorch_tanh", Activation::kGeluTanh},
     {"silu", Activation::kSilu},
     {"swish", Activation::kSilu}}};

Activation read_activation(const ConfigReader& config, const std::string& key,
                           const std::string& fallback) {
  const std::string name = config.text(key, fallback);
  const auto* const found = std::find_if(kActivations.begin(), kActivations.end(),
                                         [&](const auto& row) { return row.first == name; });
  if (found != kActivations.end()) return found->second;
  std::vector<std::string_view> known;
  known.reserve(kActivations.size());
  for (const auto& row : kActivations) known.push_back(row.first);
  config.reject(key, fmt::format("one of {}", fmt::join(known, ", ")));
}

/// hidden / heads, the size of a head unless config.json names another.
std::int64_t even_share(const ConfigReader& config, const ModelSpec& spec) {
  if (spec.hidden % spec.heads != 0) {
    config.reject("num_attention_heads",
                  fmt::format("a divisor of \"hidden_size\" {}", spec.hidden));
  }
  return spec.hidden / spec.heads;
}

/// The members that every family has under the same key.
ModelSpec read_sizes(const ConfigReader& config) {
  ModelSpec spec;
  spec.layers = config.positive("num_hidden_layers");
  spec.hidden = config.positive("hidden_size");
  spec.heads = config.positive("num_attention_heads");
  spec.vocab = config.positive("vocab_size");
  spec.max_positions = config.positive("max_position_embeddings");
  return spec;
}

RopeScaling::Kind read_rope_kind(const ConfigReader& rope) {
  // "type" is the older spelling of "rope_type".
  const std::string key = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type";
  if (!rope.has(key) && rope.has("factor")) rope.reject("factor", "a \"rope_type\" beside it");
  const std::string name = rope.text(key, "default");
  if (name == "default") return RopeScaling::Kind::kNone;
  if (name == "linear") return RopeScaling::Kind::kLinear;
  if (name == "dynamic") return RopeScaling::Kind::kDynamic;
  if (name == "llama3") return RopeScaling::Kind::kLlama3;
  rope.reject(key, "one of default, linear, dynamic, llama3");
}

RopeScaling read_rope_scaling(const ConfigReader& rope) {
  RopeScaling scaling;
  scaling.kind = read_rope_kind(rope);
  if (scaling.kind == RopeScaling::Kind::kNone) return scaling;
  scaling.factor = rope.number("factor", 1.0);
  if (scaling.kind != RopeScaling::Kind::kLlama3) return scaling;
  constexpr double kSmallestFactor = 1e-6;  // divides; any positive factor in use is far larger
  scaling.low_freq_factor = rope.number("low_freq_factor", kSmallestFactor);
  scaling.high_freq_factor = rope.number("high_freq_factor", kSmallestFactor);
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.reject("high_freq_factor",
                fmt::format("a number above \"low_freq_factor\" {}", scaling.low_freq_factor));
  }
  scaling.original_max_positions = rope.positive("original_max_position_embeddings");
  return scaling;
}

void read_rope(const ConfigReader& config, ModelSpec& spec) {
  constexpr double kDefaultTheta = 10000.0;
  constexpr double kSmallestTheta = 1.0;
  spec.rope_theta = config.number("rope_theta", kSmallestTheta, kDefaultTheta);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(key)) continue;
    const ConfigReader rope = config.object(key);
    for (const char* layer_type : {"full_attention", "sliding_attention"}) {
      if (rope.has(layer_type)) rope.reject(layer_type, "one rope for all layer types");
    }
    spec.rope_theta = rope.number("rope_theta", kSmallestTheta, spec.rope_theta);
    if (rope.number("partial_rotary_factor", 0.0, 1.0) != 1.0) {
      rope.reject("partial_rotary_factor", "1 (all of a head is rotated)");
    }
    spec.rope_scaling = read_rope_scaling(rope);
  }
  if (config.number("partial_rotary_factor", 0.0, 1.0) != 1.0) {
    config.reject("partial_rotary_factor", "1 (all of a head is rotated)");
  }
}

/// Sets sliding_from_layer from an explicit list of layer types.
/// Full attention comes first in every published model, so the first sliding layer says it all.
void read_layer_types(const ConfigReader& config, ModelSpec& spec) {
  const std::vector<std::string> types = config.texts("layer_types");
  if (types.empty()) return;
  if (static_cast<std::int64_t>(types.size()) != spec.layers) {
    config.reject("layer_types", fmt::format("{} entries, one for each layer", spec.layers));
  }
  const auto first = std::find(types.begin(), types.end(), "sliding_attention");
  if (!std::all_of(types.begin(), first, [](const auto& t) { return t == "full_attention"; }) ||
      !std::all_of(first, types.end(), [](const auto& t) { return t == "sliding_attention"; })) {
    config.reject("layer_types", "\"full_attention\" entries, then \"sliding_attention\" entries");
  }
  if (first != types.end() && !spec.sliding_window) {
    config.reject("layer_types", "no \"sliding_attention\" in a model without sliding window");
  }
  spec.sliding_from_layer = first - types.begin();
}

ModelSpec read_llama_sizes(const ConfigReader& config) {
  ModelSpec spec = read_sizes(config);
  spec.intermediate = config.positive("intermediate_size");
  spec.word_embed_dim = spec.hidden;
  spec.kv_heads = config.positive("num_key_value_heads", spec.heads);
  if (spec.heads % spec.kv_heads != 0) {
    config.reject("num_key_value_heads",
                  fmt::format("a divisor of \"num_attention_heads\" {}", spec.heads));
  }
  spec.head_dim = config.has("head_dim") ? config.positive("head_dim") : even_share(config, spec);
  if (spec.head_dim % 2 != 0) {
    config.reject(config.has("head_dim") ? "head_dim" : "hidden_size",
                  "an even size of a head (rotary positions turn pairs)");
  }
  spec.activation = read_activation(config, "hidden_act", "silu");
  spec.tied_head = config.boolean("tie_word_embeddings", false);
  constexpr double kDefaultEps = 1e-6;
  spec.rms_norm_eps = config.number("rms_norm_eps", 0.0, kDefaultEps);
  read_rope(config, spec);
  return spec;
}

/// Sliding window of Qwen2 and Qwen3: off unless use_sliding_window, and then from a layer on.
void read_qwen_window(const ConfigReader& config, ModelSpec& spec) {
  if (config.boolean("use_sliding_window", false)) {
    spec.sliding_window = config.positive("sliding_window");
    spec.sliding_from_layer = config.non_negative("max_window_layers", 0);
  }
  read_layer_types(config, spec);
}

}  // namespace

ModelSpec parse_opt(const ConfigReader& config) {
  ModelSpec spec = read_sizes(config);
  spec.intermediate = config.positive("ffn_dim");
  spec.kv_heads = spec.heads;
  spec.head_dim = even_share(config, spec);
  spec.word_embed_dim = config.positive("word_embed_proj_dim", spec.hidden);
  spec.activation = read_activation(config, "activation_function", "relu");
  spec.tied_head = config.boolean("tie_word_embeddings", true);
  spec.norm_before = config.boolean("do_layer_norm_before", true);
  spec.final_norm = spec.norm_before && !config.boolean("_remove_final_layer_norm", false);
  spec.bias = config.boolean("enable_bias", true);
  spec.norm_affine = config.boolean("layer_norm_elementwise_affine", true);
  return spec;
}

ModelSpec parse_llama(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config);
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.mlp_bias = config.boolean("mlp_bias", false);
  read_layer_types(config, spec);
  return spec;
}

ModelSpec parse_mistral(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config);
  if (config.has("sliding_window")) spec.sliding_window = config.positive("sliding_window");
  read_layer_types(config, spec);
  return spec;
}

ModelSpec parse_qwen2(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config);
  spec.qkv_bias = true;
  read_qwen_window(config, spec);
  return spec;
}

ModelSpec parse_qwen3(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config);
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.qk_norm = true;
  read_qwen_window(config, spec);
  return spec;
}

ModelSpec parse_model_spec(const nlohmann::json& config) {
  if (!config.is_object()) {
    fail(ErrorKind::kInput, "model: config.json holds {}; expected an object", config.type_name());
  }
  const ConfigReader reader(config);
  if (reader.has("quantization_config")) {
    reader.reject("quantization_config", "none: the weights must be stored unquantized");
  }
  const std::string model_type = reader.text("model_type", "");
  std::vector<std::string_view> known;
  for (const Family& family : families()) {
    for (const ModelType& type : family.model_types) {
      if (type.name == model_type) {
        ModelSpec spec = type.parse(reader);
        spec.family = family.name;
        spec.model_type = model_type;
        return spec;
      }
      known.push_back(type.name);
    }
  }
  fail(ErrorKind::kInput, "model: config.json has model_type \"{}\"; expected one of {}",
       model_type, fmt::join(known, ", "));
}

void require_window(const ModelSpec& spec, std::int64_t seqlen) {
  if (seqlen <= spec.max_positions || spec.rope_scaling.kind == RopeScaling::Kind::kDynamic) return;
  fail(ErrorKind::kInput,
       "model: a window of {} tokens; this model has {} positions; give a --seqlen of at most that",
       seqlen, spec.max_positions);
}

}  // namespace sgpt_mi::model
