#include "sgpt_mi/hf_config/transformers_defaults.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::hf_config {
namespace {

constexpr std::array<ModelDefaults, 4> kDefaults{{{"llama", 2048, 0, 0},
                                                  {"mistral", 131072, 8, 0},
                                                  {"qwen2", 32768, 32, 0},
                                                  {"qwen3", 32768, 32, 128}}};

}  // namespace

const ModelDefaults* find_defaults(std::string_view model_type) {
  const auto* const found = std::find_if(
      kDefaults.begin(), kDefaults.end(),
      [&](const ModelDefaults& defaults) { return defaults.model_type == model_type; });
  return found == kDefaults.end() ? nullptr : found;
}

const ModelDefaults& defaults_of(std::string_view model_type) {
  const ModelDefaults* const found = find_defaults(model_type);
  ensure(found != nullptr, "configs: a model_type without defaults");
  return *found;
}

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

}  // namespace sgpt_mi::hf_config
