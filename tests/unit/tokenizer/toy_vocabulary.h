#pragma once

#include "sgpt_mi/formats/checkpoint.h"

namespace sgpt_mi::test {

/// A "llama" vocabulary: <unk>, <s>, </s>, the 256 bytes, then letters and words.
inline tokenizer::GgufVocabulary toy_llama_vocabulary() {
  tokenizer::GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  const auto add = [&](const std::string& token, float score, int type) {
    vocabulary.tokens.push_back(token);
    vocabulary.scores.push_back(score);
    vocabulary.types.push_back(type);
  };
  add("<unk>", 0, 2);
  add("<s>", 0, 3);
  add("</s>", 0, 3);
  constexpr const char* kHex = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    add(std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", 0, 6);
  }
  float score = 0;
  for (const char* piece : {"▁a", "bb", "▁abb", "▁", "a", "b", "▁▁"}) add(piece, score--, 1);
  vocabulary.bos_id = 1;
  vocabulary.eos_id = 2;
  vocabulary.unk_id = 0;
  return vocabulary;
}

/// Ids of toy_llama_vocabulary's pieces.
enum ToyLlamaId : std::int32_t {
  kToyByte0 = 3,
  kToySpaceA = 259,
  kToyBb = 260,
  kToySpaceAbb = 261,
  kToySpace = 262,
  kToyA = 263,
  kToyB = 264,
  kToyTwoSpaces = 265
};

/// A "gpt2" vocabulary: letters, digits, a space, two merges, control and user-defined tokens.
inline tokenizer::GgufVocabulary toy_gpt2_vocabulary() {
  tokenizer::GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "llama-bpe";
  vocabulary.tokens = {"a", "b", "Ġ", "1", "2", "12", "ab", "Ġab", "<bos>", "<tool>", "bb"};
  vocabulary.types = {1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 1};
  vocabulary.merges = {"a b", "Ġ ab", "1 2"};
  vocabulary.bos_id = 8;
  return vocabulary;
}

}  // namespace sgpt_mi::test
