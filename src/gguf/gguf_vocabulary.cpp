#include <limits>

#include "gguf_model.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::gguf {
namespace {

std::optional<std::int32_t> token_id(const GgufMetadata& metadata, const std::string& key,
                                     std::size_t tokens) {
  const std::optional<std::int64_t> id = metadata.whole(key);
  if (!id) return std::nullopt;
  constexpr std::int64_t kUnset = std::numeric_limits<std::uint32_t>::max();  // -1 as unsigned
  if (*id == -1 || *id == kUnset) return std::nullopt;
  if (*id < 0 || static_cast<std::uint64_t>(*id) >= tokens) {
    fail(ErrorKind::kInput, "io: {}: metadata '{}' is {}, but there are {} tokens",
         metadata.label(), key, *id, tokens);
  }
  return static_cast<std::int32_t>(*id);
}

void check_length(const GgufMetadata& metadata, const char* key, std::size_t length,
                  std::size_t tokens) {
  if (length != 0 && length != tokens) {
    fail(ErrorKind::kInput, "io: {}: metadata '{}' has {} entries, but there are {} tokens",
         metadata.label(), key, length, tokens);
  }
}

}  // namespace

std::optional<tokenizer::GgufVocabulary> gguf_vocabulary(const GgufMetadata& metadata) {
  const std::optional<std::string> model = metadata.text("tokenizer.ggml.model");
  if (!model) return std::nullopt;
  tokenizer::GgufVocabulary vocabulary;
  vocabulary.model = *model;
  vocabulary.pre = metadata.text("tokenizer.ggml.pre").value_or("");
  vocabulary.tokens = metadata.texts("tokenizer.ggml.tokens");
  vocabulary.scores = metadata.reals("tokenizer.ggml.scores");
  vocabulary.types = metadata.wholes("tokenizer.ggml.token_type");
  vocabulary.merges = metadata.texts("tokenizer.ggml.merges");
  const std::size_t tokens = vocabulary.tokens.size();
  check_length(metadata, "tokenizer.ggml.scores", vocabulary.scores.size(), tokens);
  check_length(metadata, "tokenizer.ggml.token_type", vocabulary.types.size(), tokens);
  vocabulary.bos_id = token_id(metadata, "tokenizer.ggml.bos_token_id", tokens);
  vocabulary.eos_id = token_id(metadata, "tokenizer.ggml.eos_token_id", tokens);
  vocabulary.unk_id = token_id(metadata, "tokenizer.ggml.unknown_token_id", tokens);
  // Files that do not say: sentencepiece models and LLaMA 3 begin with BOS, other BPEs do not.
  const bool by_default = vocabulary.model == "llama" || vocabulary.pre == "llama-bpe" ||
                          vocabulary.pre == "llama3" || vocabulary.pre == "llama-v3";
  vocabulary.add_bos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(by_default);
  vocabulary.add_space_prefix = metadata.flag("tokenizer.ggml.add_space_prefix").value_or(true);
  return vocabulary;
}

}  // namespace sgpt_mi::gguf
