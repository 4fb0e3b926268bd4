#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "sgpt_mi/tokenizer/gguf_vocabulary.h"

namespace sgpt_mi::tokenizer {

/// A "llama" vocabulary as a serialized sentencepiece model: BPE, characters left as they are.
///
/// Where all scores are the same, as some converters write them, the order of the ids stands in:
/// pieces are numbered as they were learnt, so an earlier one merges first.
[[nodiscard]] std::string gguf_sentencepiece_model(const GgufVocabulary& vocabulary);

/// The tokenizer_config.json that belongs to it: BOS, EOS, unknown and control tokens.
[[nodiscard]] nlohmann::json gguf_tokenizer_config(const GgufVocabulary& vocabulary);

/// The `pre` of a byte-level tokenizer.json: the name that llama.cpp has for its normalizer and
/// pre-tokenizer. Throws Error(kInput) naming both when it has none.
[[nodiscard]] std::string gguf_pre_of(const nlohmann::json& tokenizer);

/// A "gpt2" vocabulary as a tokenizer.json; the split pattern is chosen by `pre`.
/// Throws Error(kInput) naming an unknown `pre`.
[[nodiscard]] nlohmann::json gguf_tokenizer_json(const GgufVocabulary& vocabulary);

}  // namespace sgpt_mi::tokenizer
