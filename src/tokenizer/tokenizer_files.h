#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bpe_tokenizer.h"
#include "sgpt_mi/special_tokens/added_vocabulary.h"
#include "sgpt_mi/special_tokens/special_token_files.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::tokenizer {

using special_tokens::SpecialTokenFiles;

/// Qwen2's split pattern (transformers 5.24, models/qwen2/tokenization_qwen2.py).
inline constexpr const char* kQwen2Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Classes of transformers 5 that build their own pre-tokenizer, byte-level with
/// tokenizer_config.json's "add_prefix_space" (models/gpt2/tokenization_gpt2.py and
/// models/qwen2/tokenization_qwen2.py).
enum class ByteLevelClass : std::uint8_t { kNone, kGpt2, kQwen2 };

/// The one that AutoTokenizer takes for the class or the model that the files name.
[[nodiscard]] ByteLevelClass byte_level_class(const SpecialTokenFiles& files);

/// The folder's tokenizer.json; for a ByteLevelClass with that class's space in front of a text
/// instead of its own. Throws Error(kInput) when it cannot be read.
[[nodiscard]] nlohmann::json read_tokenizer_json(const std::filesystem::path& folder,
                                                 const SpecialTokenFiles& files);

/// The tokenizer that a tokenizer.json describes, as the `tokenizers` library reads it, with the
/// tokens that the files beside it add. Throws Error(kInput) naming the member and what is not
/// supported.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_json(const nlohmann::json& json,
                                                             const SpecialTokenFiles& files);

/// The stages of that tokenizer.
[[nodiscard]] BpeStages stages_from_json(const nlohmann::json& json,
                                         const SpecialTokenFiles& files);

/// The tokenizer of a folder with vocab.json and merges.txt: byte-level BPE, split with GPT-2's
/// pattern, or normalized and split as Qwen2's where the files name that model or class. BOS is put
/// in front when tokenizer_config.json says add_bos_token, as OPT's does. Throws Error(kInput)
/// naming the file.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_vocab_and_merges(
    const std::filesystem::path& folder, const SpecialTokenFiles& files);

/// The stages of that tokenizer.
[[nodiscard]] BpeStages stages_from_vocab_and_merges(const std::filesystem::path& folder,
                                                     const SpecialTokenFiles& files);

/// `normalizer`, `pre_tokenizer` and an empty `model`, as a tokenizer.json of that folder has them.
[[nodiscard]] nlohmann::json vocab_and_merges_json(const SpecialTokenFiles& files);

/// Tokens are added to it; refers to `model`.
[[nodiscard]] special_tokens::BaseVocabulary base_vocabulary(const BpeDefinition& model);

/// A sentencepiece model given as its serialized bytes.
///
/// Special tokens (<s>, </s>, <unk> or what `files` names, control pieces, and added ones) are cut
/// out of the text first; every stretch between them is one sentencepiece call. By default each
/// gets the model's dummy prefix of its own, as in the tokenizer that the published LLaMA results
/// used; with "legacy": false only one at the start of the text does, with "add_prefix_space":
/// false none. BOS is put in front unless add_bos_token is false, EOS behind if add_eos_token is
/// true. Throws Error(kInput) with sentencepiece's reason when the bytes are not a model.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(
    const std::string& model, const SpecialTokenFiles& files);

/// The tokens that are added to a sentencepiece model. \param stored  kept beside the model
/// already: its control pieces, or the added tokens of a tokenizer.json made from it.
[[nodiscard]] special_tokens::AddedVocabulary sentencepiece_added_tokens(
    special_tokens::BaseVocabulary base, const std::vector<special_tokens::AddedToken>& stored,
    const SpecialTokenFiles& files);

}  // namespace sgpt_mi::tokenizer
