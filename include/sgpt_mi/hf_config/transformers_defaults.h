#pragma once

#include <cstdint>
#include <string_view>

// What transformers 5 makes of a config.json that leaves members out. Whoever reads such a file
// and whoever writes it down for other programs must agree about these.

namespace sgpt_mi::hf_config {

/// Defaults that depend on the model_type.
struct ModelDefaults {
  std::string_view model_type;
  std::int64_t positions = 0;  ///< max_position_embeddings
  std::int64_t kv_heads = 0;   ///< num_key_value_heads; 0: as many as heads
  std::int64_t head_dim = 0;   ///< 0: hidden / heads
};

/// Those of "llama", "mistral", "qwen2" or "qwen3"; nullptr for another model_type.
[[nodiscard]] const ModelDefaults* find_defaults(std::string_view model_type);

/// The same where the caller has checked the model_type: Error(kInternal) for another.
[[nodiscard]] const ModelDefaults& defaults_of(std::string_view model_type);

inline constexpr std::int64_t kSlidingWindow =
    4096;  ///< of MistralConfig, Qwen2Config, Qwen3Config
inline constexpr std::int64_t kMaxWindowLayers = 28;  ///< of Qwen2Config and Qwen3Config
inline constexpr double kRopeTheta = 10000.0;
inline constexpr double kRmsNormEps = 1e-6;

/// What YaRN multiplies cos and sin by (Peng et al. 2023, arXiv 2309.00071, eq. 15, as transformers
/// and ggml compute it): 1 + 0.1 mscale ln(factor), and 1 where nothing is extended.
[[nodiscard]] double yarn_magnitude(double factor, double mscale = 1.0);

}  // namespace sgpt_mi::hf_config
