#pragma once

#include <cstdint>
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
  std::optional<std::int32_t> bos_id, eos_id, unk_id;
  bool add_bos = true;
  bool add_space_prefix = true;
};

}  // namespace sgpt_mi::tokenizer
