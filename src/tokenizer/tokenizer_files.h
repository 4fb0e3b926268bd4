#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bpe_tokenizer.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "special_tokens.h"

namespace sgpt_mi::tokenizer {

/// The tokenizer that a tokenizer.json describes, as the `tokenizers` library reads it.
/// Throws Error(kInput) naming what is not supported.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_json(const nlohmann::json& json);

/// The stages of that tokenizer.
[[nodiscard]] BpeStages stages_from_json(const nlohmann::json& json);

/// The GPT-2 tokenizer of a folder with vocab.json and merges.txt: byte-level BPE, split with
/// GPT-2's pattern. Special in the text are the tokens that special_tokens_map.json (else
/// tokenizer_config.json) gives a role, and added ones; BOS is put in front when
/// tokenizer_config.json says add_bos_token, as OPT's does. Throws Error(kInput) naming the file.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_vocab_and_merges(
    const std::filesystem::path& folder);

/// The stages of that tokenizer.
[[nodiscard]] BpeStages stages_from_vocab_and_merges(const std::filesystem::path& folder);

/// A sentencepiece model given as its serialized bytes.
///
/// Special tokens (<s>, </s>, <unk> or what `special` names, and added ones) are cut out of the
/// text first; every stretch between them is one sentencepiece call and gets the model's dummy
/// prefix of its own, as in the tokenizer that the published LLaMA results used. BOS is put in
/// front unless add_bos_token is false, EOS behind if add_eos_token is true. Throws Error(kInput)
/// with sentencepiece's reason when the bytes are not a model.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(
    const std::string& model, const SpecialTokenFiles& special);

}  // namespace sgpt_mi::tokenizer
