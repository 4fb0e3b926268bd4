#include <algorithm>
#include <limits>
#include <string_view>

#include "gguf_model.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::gguf {
namespace {

using tokenizer::GgufVocabulary;

constexpr std::int32_t kUnusedToken = 5;
constexpr float kUnusedScore = -10000.0F;  // below every score of a vocabulary

/// Ids of tokens with a role, the keys that name them, and of a sentencepiece model whose file does
/// not say what llama.cpp takes (src/llama-vocab.cpp); -1: none.
struct IdKey {
  const char* key;
  std::optional<std::int32_t> GgufVocabulary::*id;
  std::int32_t usual = -1;
};

constexpr IdKey kIdKeys[] = {{"tokenizer.ggml.bos_token_id", &GgufVocabulary::bos_id, 1},
                             {"tokenizer.ggml.eos_token_id", &GgufVocabulary::eos_id, 2},
                             {"tokenizer.ggml.eot_token_id", &GgufVocabulary::eot_id},
                             {"tokenizer.ggml.unknown_token_id", &GgufVocabulary::unk_id, 0},
                             {"tokenizer.ggml.seperator_token_id", &GgufVocabulary::sep_id},
                             {"tokenizer.ggml.padding_token_id", &GgufVocabulary::pad_id},
                             {"tokenizer.ggml.mask_token_id", &GgufVocabulary::mask_id}};

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

std::optional<GgufVocabulary> gguf_vocabulary(const GgufMetadata& metadata) {
  const std::optional<std::string> model = metadata.text("tokenizer.ggml.model");
  if (!model || *model == "none" || *model == "no_vocab") return std::nullopt;
  GgufVocabulary vocabulary;
  vocabulary.model = *model;
  vocabulary.pre = metadata.text("tokenizer.ggml.pre").value_or("");
  vocabulary.tokens = metadata.texts("tokenizer.ggml.tokens");
  vocabulary.scores = metadata.reals("tokenizer.ggml.scores");
  vocabulary.types = metadata.wholes("tokenizer.ggml.token_type");
  vocabulary.merges = metadata.texts("tokenizer.ggml.merges");
  const std::size_t tokens = vocabulary.tokens.size();
  check_length(metadata, "tokenizer.ggml.scores", vocabulary.scores.size(), tokens);
  check_length(metadata, "tokenizer.ggml.token_type", vocabulary.types.size(), tokens);
  for (const IdKey& row : kIdKeys) {
    vocabulary.*row.id = token_id(metadata, row.key, tokens);
    const bool untold = vocabulary.model == "llama" && !metadata.whole(row.key);
    if (untold && row.usual >= 0 && static_cast<std::size_t>(row.usual) < tokens) {
      vocabulary.*row.id = row.usual;
    }
  }
  // Files that do not say: sentencepiece models and these pre-tokenizers begin with BOS, as in
  // llama.cpp (src/llama-vocab.cpp).
  constexpr std::string_view kWithBos[] = {"llama-bpe", "llama3",      "llama-v3", "falcon3",
                                           "falcon-h1", "pixtral",     "midm-2.0", "lfm2",
                                           "tekken",    "jina-v5-nano"};
  const bool by_default =
      vocabulary.model == "llama" ||
      std::find(std::begin(kWithBos), std::end(kWithBos), vocabulary.pre) != std::end(kWithBos);
  vocabulary.add_bos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(by_default);
  vocabulary.add_eos = metadata.flag("tokenizer.ggml.add_eos_token").value_or(false);
  vocabulary.add_space_prefix = metadata.flag("tokenizer.ggml.add_space_prefix").value_or(true);
  vocabulary.chat_template = metadata.text("tokenizer.chat_template").value_or("");
  return vocabulary;
}

void add_vocabulary(const std::optional<GgufVocabulary>& given, std::size_t tokens,
                    MetadataBuilder& metadata) {
  if (!given) return metadata.text("tokenizer.ggml.model", "none");
  GgufVocabulary vocabulary = *given;
  if (vocabulary.tokens.size() > tokens) {
    fail(ErrorKind::kInput,
         "format: the tokenizer has {} tokens and the model rows for {}: they do not belong "
         "together",
         vocabulary.tokens.size(), tokens);
  }
  // Rows of the embedding that no token has, as llama.cpp's converter names them.
  for (std::size_t i = vocabulary.tokens.size(); i < tokens; ++i) {
    vocabulary.tokens.push_back(fmt::format("[PAD{}]", i));
    vocabulary.types.push_back(kUnusedToken);
    if (!vocabulary.scores.empty()) vocabulary.scores.push_back(kUnusedScore);
  }
  metadata.text("tokenizer.ggml.model", vocabulary.model);
  metadata.text("tokenizer.ggml.pre", vocabulary.pre);
  metadata.texts("tokenizer.ggml.tokens", vocabulary.tokens);
  if (!vocabulary.scores.empty()) metadata.reals("tokenizer.ggml.scores", vocabulary.scores);
  metadata.wholes("tokenizer.ggml.token_type", vocabulary.types);
  if (!vocabulary.merges.empty()) metadata.texts("tokenizer.ggml.merges", vocabulary.merges);
  for (const IdKey& row : kIdKeys) {
    const auto& id = vocabulary.*row.id;
    if (id) metadata.whole(row.key, static_cast<std::uint32_t>(*id));
  }
  metadata.flag("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  metadata.flag("tokenizer.ggml.add_eos_token", vocabulary.add_eos);
  metadata.flag("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  if (!vocabulary.chat_template.empty()) {
    metadata.text("tokenizer.chat_template", vocabulary.chat_template);
  }
}

}  // namespace sgpt_mi::gguf
