#include "sgpt_mi/model/spec.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "config_reader.h"
#include "family.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/hf_config/transformers_defaults.h"
#include "spec_parsers.h"

namespace sgpt_mi::model {

namespace {

using hf_config::yarn_magnitude;

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
/// \param positions  transformers' default of this model_type.
ModelSpec read_sizes(const ConfigReader& config, std::int64_t positions) {
  ModelSpec spec;
  spec.layers = config.positive("num_hidden_layers");
  spec.hidden = config.positive("hidden_size");
  spec.heads = config.positive("num_attention_heads");
  spec.vocab = config.positive("vocab_size");
  spec.max_positions = config.positive("max_position_embeddings", positions);
  return spec;
}

constexpr std::array<std::pair<std::string_view, RopeScaling::Kind>, 5> kRopeKinds{
    {{"default", RopeScaling::Kind::kNone},
     {"linear", RopeScaling::Kind::kLinear},
     {"dynamic", RopeScaling::Kind::kDynamic},
     {"yarn", RopeScaling::Kind::kYarn},
     {"llama3", RopeScaling::Kind::kLlama3}}};

RopeScaling::Kind read_rope_kind(const ConfigReader& rope) {
  // "type" is the older spelling of "rope_type".
  const std::string key = rope.has("rope_type") || !rope.has("type") ? "rope_type" : "type";
  if (!rope.has(key) && rope.has("factor")) rope.reject("factor", "a \"rope_type\" beside it");
  const std::string name = rope.text(key, "default");
  std::vector<std::string_view> known;
  for (const auto& [known_name, kind] : kRopeKinds) {
    if (known_name == name) return kind;
    known.push_back(known_name);
  }
  rope.reject(key, fmt::format("one of {}", fmt::join(known, ", ")));
}

constexpr const char* kOriginalPositions = "original_max_position_embeddings";

/// The members of yarn as transformers reads them: 0 stands for a default, as absence does.
void read_yarn(const ConfigReader& rope, const ModelSpec& spec, RopeScaling& scaling) {
  const auto or_default = [&](const char* key, double fallback) {
    const double value = rope.number(key, 0.0, 0.0);
    return value == 0.0 ? fallback : value;
  };
  scaling.factor = rope.number("factor", 1.0,
                               static_cast<double>(spec.max_positions) /
                                   static_cast<double>(scaling.original_max_positions));
  scaling.beta_fast = or_default("beta_fast", scaling.beta_fast);
  scaling.beta_slow = or_default("beta_slow", scaling.beta_slow);
  scaling.truncate = rope.boolean("truncate", true);
  const double mscale = rope.number("mscale", 0.0, 0.0);
  const double all_dims = rope.number("mscale_all_dim", 0.0, 0.0);
  const double usual =
      mscale == 0.0 || all_dims == 0.0
          ? yarn_magnitude(scaling.factor)
          : yarn_magnitude(scaling.factor, mscale) / yarn_magnitude(scaling.factor, all_dims);
  scaling.attention_factor = rope.number("attention_factor", 0.0, usual);
}

void read_llama3(const ConfigReader& rope, RopeScaling& scaling) {
  constexpr double kSmallestFactor = 1e-6;  // divides; any positive factor in use is far larger
  scaling.low_freq_factor = rope.number("low_freq_factor", kSmallestFactor);
  scaling.high_freq_factor = rope.number("high_freq_factor", kSmallestFactor);
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.reject("high_freq_factor",
                fmt::format("a number above \"low_freq_factor\" {}", scaling.low_freq_factor));
  }
}

/// \param config  the whole of config.json, whose original positions go before those of `rope`.
RopeScaling read_rope_scaling(const ConfigReader& config, const ConfigReader& rope,
                              const ModelSpec& spec) {
  RopeScaling scaling;
  scaling.kind = read_rope_kind(rope);
  if (scaling.kind == RopeScaling::Kind::kNone) return scaling;
  scaling.original_max_positions =
      config.positive(kOriginalPositions, rope.positive(kOriginalPositions, spec.max_positions));
  if (scaling.kind == RopeScaling::Kind::kYarn) {
    read_yarn(rope, spec, scaling);
    return scaling;
  }
  scaling.factor = rope.number("factor", 1.0);
  if (scaling.kind == RopeScaling::Kind::kLlama3) read_llama3(rope, scaling);
  return scaling;
}

/// Reads rope_scaling, or rope_parameters where there is no such member or an empty one.
void read_rope(const ConfigReader& config, ModelSpec& spec) {
  constexpr double kSmallestTheta = 1.0;
  spec.rope_theta = config.number("rope_theta", kSmallestTheta, hf_config::kRopeTheta);
  if (config.number("partial_rotary_factor", 0.0, 1.0) != 1.0) {
    config.reject("partial_rotary_factor", "1 (all of a head is rotated)");
  }
  const std::string key = config.has_members("rope_scaling") ? "rope_scaling" : "rope_parameters";
  if (!config.has(key)) return;
  const ConfigReader rope = config.object(key);
  for (const char* layer_type : {"full_attention", "sliding_attention"}) {
    if (rope.has(layer_type)) rope.reject(layer_type, "one rope for all layer types");
  }
  spec.rope_theta = rope.number("rope_theta", kSmallestTheta, spec.rope_theta);
  if (rope.number("partial_rotary_factor", 0.0, 1.0) != 1.0) {
    rope.reject("partial_rotary_factor", "1 (all of a head is rotated)");
  }
  spec.rope_scaling = read_rope_scaling(config, rope, spec);
  if (spec.rope_scaling.kind == RopeScaling::Kind::kYarn && spec.rope_theta <= kSmallestTheta) {
    fail(ErrorKind::kInput,
         "model: config.json has yarn with \"rope_theta\" {}; expected a number above 1",
         spec.rope_theta);
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

/// The members that LLaMA's model types share.
ModelSpec read_llama_sizes(const ConfigReader& config, const hf_config::ModelDefaults& defaults) {
  ModelSpec spec = read_sizes(config, defaults.positions);
  spec.intermediate = config.positive("intermediate_size");
  spec.word_embed_dim = spec.hidden;
  // null stands for as many as heads, whatever absence stands for.
  const bool as_heads = defaults.kv_heads == 0 || config.mentions("num_key_value_heads");
  spec.kv_heads = config.positive("num_key_value_heads", as_heads ? spec.heads : defaults.kv_heads);
  if (spec.heads % spec.kv_heads != 0) {
    fail(ErrorKind::kInput,
         "model: config.json has \"num_key_value_heads\": {}; expected a divisor of "
         "\"num_attention_heads\" {}",
         spec.kv_heads, spec.heads);
  }
  spec.head_dim = config.has("head_dim")  ? config.positive("head_dim")
                  : defaults.head_dim > 0 ? defaults.head_dim
                                          : even_share(config, spec);
  if (spec.head_dim % 2 != 0) {
    config.reject(config.has("head_dim") ? "head_dim" : "hidden_size",
                  "an even size of a head (rotary positions turn pairs)");
  }
  spec.activation = read_activation(config, "hidden_act", "silu");
  spec.tied_head = config.boolean("tie_word_embeddings", false);
  spec.rms_norm_eps = config.number("rms_norm_eps", 0.0, hf_config::kRmsNormEps);
  read_rope(config, spec);
  return spec;
}

/// The window, or nothing where config.json says null.
std::optional<std::int64_t> read_window(const ConfigReader& config) {
  if (!config.mentions("sliding_window")) return hf_config::kSlidingWindow;
  if (!config.has("sliding_window")) return std::nullopt;
  return config.positive("sliding_window");
}

/// Sliding window of Qwen2 and Qwen3: off unless use_sliding_window, and then from a layer on.
void read_qwen_window(const ConfigReader& config, ModelSpec& spec) {
  if (config.boolean("use_sliding_window", false)) {
    spec.sliding_window = read_window(config);
    spec.sliding_from_layer = config.non_negative("max_window_layers", hf_config::kMaxWindowLayers);
  }
  read_layer_types(config, spec);
}

}  // namespace

ModelSpec parse_opt(const ConfigReader& config) {
  constexpr std::int64_t kDefaultPositions = 2048;
  ModelSpec spec = read_sizes(config, kDefaultPositions);
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
  hf_config::ModelDefaults defaults = hf_config::defaults_of("llama");
  // The first conversions of LLaMA have positions under this name.
  defaults.positions = config.positive("max_sequence_length", defaults.positions);
  ModelSpec spec = read_llama_sizes(config, defaults);
  spec.qkv_bias = config.boolean("attention_bias", false);
  spec.o_bias = spec.qkv_bias;
  spec.mlp_bias = config.boolean("mlp_bias", false);
  read_layer_types(config, spec);
  return spec;
}

ModelSpec parse_mistral(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config, hf_config::defaults_of("mistral"));
  spec.sliding_window = read_window(config);
  read_layer_types(config, spec);
  return spec;
}

ModelSpec parse_qwen2(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config, hf_config::defaults_of("qwen2"));
  spec.qkv_bias = true;
  read_qwen_window(config, spec);
  return spec;
}

ModelSpec parse_qwen3(const ConfigReader& config) {
  ModelSpec spec = read_llama_sizes(config, hf_config::defaults_of("qwen3"));
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

std::int64_t longest_window(const ModelSpec& spec) {
  const RopeScaling& scaling = spec.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kDynamic) return std::numeric_limits<std::int64_t>::max();
  if (scaling.kind != RopeScaling::Kind::kYarn) return spec.max_positions;
  const double extended = scaling.factor * static_cast<double>(scaling.original_max_positions);
  constexpr double kMost = 1e9;  // beyond any context; a double below it is a whole number
  return std::max(spec.max_positions, static_cast<std::int64_t>(std::min(extended, kMost)));
}

void require_window(const ModelSpec& spec, std::int64_t seqlen) {
  const std::int64_t longest = longest_window(spec);
  if (seqlen <= longest) return;
  fail(ErrorKind::kInput,
       "model: a window of {} tokens; this model has {} positions; give a --seqlen of at most that",
       seqlen, longest);
}

}  // namespace sgpt_mi::model
