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

/// A "gpt2" vocabulary as a tokenizer.json; the split pattern is chosen by `pre`.
/// Throws Error(kInput) naming an unknown `pre`.
[[nodiscard]] nlohmann::json gguf_tokenizer_json(const GgufVocabulary& vocabulary);

/// A "llama" vocabulary as a tokenizer.json, for readers without a sentencepiece library: the
/// merges are all pairs of pieces that make a piece, those of higher scores first.
[[nodiscard]] nlohmann::json gguf_sentencepiece_json(const GgufVocabulary& vocabulary);

/// Whether the scores do not tell pieces apart, so that the order of the ids stands in.
[[nodiscard]] bool gguf_scores_say_nothing(const GgufVocabulary& vocabulary);

/// The unknown and control tokens of a "llama" vocabulary, as added_tokens of a tokenizer.json.
[[nodiscard]] nlohmann::json gguf_control_tokens(const GgufVocabulary& vocabulary);

/// The post-processor that puts BOS in front; null where the vocabulary asks for none.
[[nodiscard]] nlohmann::json gguf_post_processor(const GgufVocabulary& vocabulary);

}  // namespace sgpt_mi::tokenizer
