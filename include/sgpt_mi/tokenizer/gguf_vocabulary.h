#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sgpt_mi::tokenizer {

/// The tokenizer stored in a GGUF file's metadata (tokenizer.ggml.*).
struct GgufVocabulary {
  std::string model;  ///< "llama" (sentencepiece) or "gpt2" (byte-level BPE)
  std::string pre;    ///< name of the pre-tokenizer for "gpt2": "llama-bpe", "qwen2", ...
  std::vector<std::string> tokens;  ///< piece of each id
  std::vector<float> scores;        ///< same length, or empty
  std::vector<std::int32_t>
      types;  ///< 1 normal, 2 unknown, 3 control, 4 user, 5 unused, 6 byte; or empty
  std::vector<std::string> merges;  ///< "a b", best first; only for "gpt2"
  std::optional<std::int32_t> bos_id, eos_id, eot_id, unk_id, sep_id, pad_id, mask_id;
  bool add_bos = true;
  bool add_eos = false;
  bool add_space_prefix = true;
  std::string chat_template;  ///< Jinja; empty: none
};

/// The tokenizer of a Hugging Face folder (load_tokenizer) as a GGUF file says it, so that
/// llama.cpp gives the same ids: one entry an id from 0 to the largest; ids without a token are
/// unused "[PADn]". `config` is the model's config.json, which may name special ids. Nothing when
/// the folder has no tokenizer.
///
/// Of a byte-level BPE `pre` is the name that llama.cpp has for its normalizer and pre-tokenizer.
/// A sentencepiece vocabulary that is there as tokenizer.json alone gets scores from the order of
/// its merges. Throws Error(kInput) naming a part of the tokenizer that GGUF cannot say.
[[nodiscard]] std::optional<GgufVocabulary> gguf_vocabulary_of(const std::filesystem::path& folder,
                                                               const nlohmann::json& config);

}  // namespace sgpt_mi::tokenizer
