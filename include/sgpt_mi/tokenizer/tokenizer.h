#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sgpt_mi/tokenizer/gguf_vocabulary.h"

namespace sgpt_mi::tokenizer {

/// Text to token ids, identical to the tokenizer that the model was trained with.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of a UTF-8 text. With `add_special` what one call of the reference tokenizer adds is
  /// added: BOS once in front where the model has one. Special tokens written in the text are
  /// recognised as the tokenizer's files say. Deterministic and thread-safe.
  [[nodiscard]] virtual std::vector<std::int32_t> encode(std::string_view text,
                                                         bool add_special = true) const = 0;

  /// Largest id that encode() can return, plus one: must not exceed the embedding's rows.
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;

  /// The id put in front with `add_special`, if any.
  [[nodiscard]] virtual std::optional<std::int32_t> bos_id() const = 0;
};

/// The tokenizer of a model folder: tokenizer.json, else vocab.json + merges.txt, else
/// tokenizer.model (sentencepiece). Throws Error(kInput) naming the missing files, or the component
/// of tokenizer.json that is not supported.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);

/// The tokenizer in a GGUF file's metadata. Throws Error(kInput) naming an unknown kind.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer(const GgufVocabulary& vocabulary);

/// Files of a Hugging Face folder (tokenizer.json or tokenizer.model, tokenizer_config.json) that
/// give the same tokenizer as the GGUF metadata: file name and bytes.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> tokenizer_files(
    const GgufVocabulary& vocabulary);

}  // namespace sgpt_mi::tokenizer
