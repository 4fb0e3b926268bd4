#pragma once

#include "config_reader.h"
#include "sgpt_mi/model/spec.h"

namespace sgpt_mi::model {

// One reader for each model_type: everything of ModelSpec but family and model_type.
// Errors as parse_model_spec.
[[nodiscard]] ModelSpec parse_opt(const ConfigReader& config);
[[nodiscard]] ModelSpec parse_llama(const ConfigReader& config);
[[nodiscard]] ModelSpec parse_mistral(const ConfigReader& config);
[[nodiscard]] ModelSpec parse_qwen2(const ConfigReader& config);
[[nodiscard]] ModelSpec parse_qwen3(const ConfigReader& config);

}  // namespace sgpt_mi::model
