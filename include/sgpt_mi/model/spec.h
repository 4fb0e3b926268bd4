#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sgpt_mi::model {

/// How rotary angles are scaled for long contexts.
struct RopeScaling {
  enum class Kind : std::uint8_t { kNone, kLinear, kDynamic, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  double low_freq_factor = 1.0;               ///< llama3
  double high_freq_factor = 4.0;              ///< llama3
  std::int64_t original_max_positions = 0;    ///< llama3, dynamic
};

/// Everything about a model that its config.json says.
struct ModelSpec {
  std::string family;      ///< "opt" or "llama": the row of the family table
  std::string model_type;  ///< as in config.json: "opt", "llama", "mistral", "qwen2", "qwen3"
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t intermediate = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;
  std::int64_t max_positions = 0;
  bool tied_head = false;

  // LLaMA family
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  std::optional<std::int64_t> sliding_window;  ///< a position sees itself and window - 1 before it
  std::int64_t sliding_from_layer = 0;         ///< layers below use full attention (Qwen2)
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  ///< RMS norm on each head of q and k (Qwen3)

  // OPT
  std::int64_t word_embed_dim = 0;  ///< != hidden: project_in and project_out
  bool norm_before = true;          ///< false: post-norm (350m)
  bool final_norm = true;
  bool bias = true;
  bool norm_affine = true;
};

/// Reads a config.json. Throws Error(kInput) naming an unknown model_type, an unsupported switch
/// (activation, rope type, layer type) or a bad value (zero, negative, heads that do not divide).
[[nodiscard]] ModelSpec parse_model_spec(const nlohmann::json& config);

}  // namespace sgpt_mi::model
