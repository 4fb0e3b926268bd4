#pragma once

#include <array>
#include <string_view>

namespace sgpt_mi::hf_config {

/// A model folder's files of the tokenizer: each is taken along where it is there.
inline constexpr std::array<std::string_view, 9> kTokenizerFiles{"tokenizer.json",
                                                                 "tokenizer.model",
                                                                 "tokenizer_config.json",
                                                                 "special_tokens_map.json",
                                                                 "added_tokens.json",
                                                                 "vocab.json",
                                                                 "merges.txt",
                                                                 "chat_template.jinja",
                                                                 "chat_template.json"};

}  // namespace sgpt_mi::hf_config
