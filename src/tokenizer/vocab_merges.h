#pragma once

#include <filesystem>
#include <memory>

#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::tokenizer {

/// The GPT-2 tokenizer of a folder with vocab.json and merges.txt: byte-level BPE, split with
/// GPT-2's pattern. Special in the text are the tokens that special_tokens_map.json (else
/// tokenizer_config.json) gives a role, and added ones; BOS is put in front when
/// tokenizer_config.json says add_bos_token, as OPT's does. Throws Error(kInput) naming the file.
[[nodiscard]] std::unique_ptr<Tokenizer> tokenizer_from_vocab_and_merges(
    const std::filesystem::path& folder);

}  // namespace sgpt_mi::tokenizer
