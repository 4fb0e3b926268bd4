#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::tokenizer {

/// The tokenizer that a tokenizer.json describes, as the `tokenizers` library reads it.
/// Throws Error(kInput) naming what is not supported.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_json(const nlohmann::json& json);

}  // namespace sgpt_mi::tokenizer
