#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "sgpt_mi/tokenizer/tokenizer.h"
#include "special_tokens.h"

namespace sgpt_mi::tokenizer {

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
