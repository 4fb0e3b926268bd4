#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sgpt_mi::model {

/// How rotary angles are scaled for long contexts. Angles are position * frequency.
struct RopeScaling {
  enum class Kind : std::uint8_t {
    kNone,     ///< frequency i of n: theta^(-i/n)
    kLinear,   ///< frequencies divided by factor
    kDynamic,  ///< theta grows with windows longer than max_positions ("NTK"), else unchanged
    kLlama3,   ///< low frequencies divided by factor, high ones kept, a ramp between them
    kYarn      ///< the same with a ramp over pairs; cos and sin times attention_factor
  };
  Kind kind = Kind::kNone;
  double factor = 1.0;                      ///< >= 1
  double low_freq_factor = 1.0;             ///< llama3: > 0
  double high_freq_factor = 4.0;            ///< llama3: > low_freq_factor
  std::int64_t original_max_positions = 0;  ///< llama3, yarn: positions before the extension
  double beta_fast = 32.0;                  ///< yarn: pairs that turn more often are kept
  double beta_slow = 1.0;                   ///< yarn: pairs that turn less often are divided
  bool truncate = true;                     ///< yarn: the ramp begins and ends at whole pairs
  double attention_factor = 1.0;            ///< yarn: >= 0
};

/// The non-linearity of the MLP.
enum class Activation : std::uint8_t {
  kRelu,
  kGelu,      ///< x Phi(x), exact
  kGeluTanh,  ///< its tanh approximation
  kSilu       ///< x sigmoid(x)
};

/// Everything about a model that its config.json says.
struct ModelSpec {
  std::string family;      ///< "opt" or "llama": the row of the family table
  std::string model_type;  ///< as in config.json: "opt", "llama", "mistral", "qwen2", "qwen3"
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t intermediate = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  ///< divides heads; smaller: grouped-query attention
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;
  std::int64_t max_positions = 0;
  bool tied_head = false;  ///< the head is the embedding table (fit_checkpoint.h)
  Activation activation = Activation::kSilu;

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

/// The description in a config.json, old style (rope_theta, rope_scaling) or new (rope_parameters).
/// Where both are there, rope_scaling counts. What is left out has transformers' default for the
/// model_type. Throws Error(kInput) naming an unknown model_type, an unsupported switch
/// (activation, rope type, layer type, quantized weights) or a bad value with its key and its
/// range.
[[nodiscard]] ModelSpec parse_model_spec(const nlohmann::json& config);

/// Tokens of the longest window: the model's positions, those after the extension with yarn, no
/// limit with dynamic rope.
[[nodiscard]] std::int64_t longest_window(const ModelSpec& spec);

/// Throws Error(kInput) naming both lengths when a window of `seqlen` tokens is longer.
void require_window(const ModelSpec& spec, std::int64_t seqlen);

}  // namespace sgpt_mi::model
