#pragma once

#include <memory>
#include <vector>

#include "bpe.h"
#include "post_processor.h"
#include "sgpt_mi/pretokenizer/normalizer.h"
#include "sgpt_mi/pretokenizer/pre_tokenizer.h"
#include "sgpt_mi/special_tokens/added_tokens.h"
#include "sgpt_mi/tokenizer/tokenizer.h"

namespace sgpt_mi::tokenizer {

/// The stages of a BPE tokenizer, in the order in which a text passes them.
struct BpeStages {
  std::vector<special_tokens::AddedToken> added_tokens;
  bool split_special = false;  ///< special tokens in a text are text
  std::unique_ptr<pretokenizer::Normalizer> normalizer;
  pretokenizer::PreTokenizer pre_tokenizer;
  BpeDefinition model;
  SpecialFrame frame;
};

/// Cuts added tokens out of the text, normalizes what is left, cuts normalized added tokens out,
/// splits into pieces, encodes the pieces, and frames the result with special tokens.
class BpeTokenizer : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeStages stages);

  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text,
                                                 bool add_special) const override;
  [[nodiscard]] std::int64_t vocab_size() const override { return vocab_size_; }
  [[nodiscard]] std::optional<std::int32_t> bos_id() const override { return frame_.bos(); }

 private:
  void encode_raw(std::string_view text, bool at_text_start, BpeEncoder& encoder) const;
  void encode_normalized(std::string_view text, bool at_text_start, BpeEncoder& encoder) const;

  std::unique_ptr<pretokenizer::Normalizer> normalizer_;
  pretokenizer::PreTokenizer pre_tokenizer_;
  BpeModel model_;
  SpecialFrame frame_;
  special_tokens::AddedTokenMatcher raw_tokens_;
  special_tokens::AddedTokenMatcher normalized_tokens_;
  std::int64_t vocab_size_ = 0;
};

}  // namespace sgpt_mi::tokenizer
