#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sgpt_mi::tokenizer {

/// What a name in tokenizer.ggml.pre means, as members of a tokenizer.json.
struct GgufSplit {
  nlohmann::json normalizer;
  nlohmann::json pre_tokenizer;
  bool ignore_merges = false;
};

/// The stages that llama.cpp (src/llama-vocab.cpp) knows by a name or one of its aliases, as the
/// tokenizer.json of the models that use it gives them. Throws Error(kInput) naming an unknown one.
[[nodiscard]] GgufSplit gguf_split(const std::string& pre);

/// The `pre` of a byte-level tokenizer.json: the name that llama.cpp has for its normalizer and
/// pre-tokenizer. Throws Error(kInput) naming both when it has none.
[[nodiscard]] std::string gguf_pre_of(const nlohmann::json& tokenizer);

/// A ByteLevel step with all the members that the tokenizers library asks for.
[[nodiscard]] nlohmann::json byte_level_json(bool use_regex);

}  // namespace sgpt_mi::tokenizer
