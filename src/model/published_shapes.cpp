#include "published_shapes.h"

#include "model_shapes.h"

namespace sgpt_mi::model {
namespace {

/// By name what config.json says of a shape beyond its family's usual values.
const nlohmann::json& shapes() {
  static const nlohmann::json table = nlohmann::json::parse(kModelShapes);
  return table;
}

/// The members that most models of a family share.
nlohmann::json usual_values(const std::string& model_type) {
  nlohmann::json values{{"max_position_embeddings", 2048}, {"torch_dtype", "float16"}};
  if (model_type == "opt") {
    values.update({{"architectures", {"OPTForCausalLM"}},
                   {"vocab_size", 50272},
                   {"activation_function", "relu"},
                   {"do_layer_norm_before", true}});
  } else {
    values.update(
        {{"architectures", {model_type == "mistral" ? "MistralForCausalLM" : "LlamaForCausalLM"}},
         {"vocab_size", 32000},
         {"hidden_act", "silu"},
         {"rms_norm_eps", 1e-5},
         {"tie_word_embeddings", false}});
  }
  return values;
}

}  // namespace

std::optional<nlohmann::json> published_config(const std::string& name) {
  const auto found = shapes().find(name);
  if (found == shapes().end()) return std::nullopt;
  nlohmann::json config = usual_values(found->at("model_type"));
  config.update(*found);
  if (config.contains("ffn_dim")) config.emplace("word_embed_proj_dim", config.at("hidden_size"));
  return config;
}

std::vector<std::string> published_names() {
  std::vector<std::string> names;
  names.reserve(shapes().size());
  for (const auto& [name, config] : shapes().items()) names.push_back(name);
  return names;
}

}  // namespace sgpt_mi::model
