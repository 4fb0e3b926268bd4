#include "bpe_tokenizer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::tokenizer {
namespace {

using special_tokens::AddedToken;
using special_tokens::kNoToken;
using special_tokens::Segment;

// Positions of symbols are 32-bit; normalization may lengthen a text a few times.
constexpr std::size_t kLargestText = std::numeric_limits<std::int32_t>::max() / 8;

std::vector<AddedToken> tokens_with(const BpeStages& stages, bool normalized) {
  std::vector<AddedToken> chosen;
  for (const AddedToken& token : stages.added_tokens) {
    const bool is_text = stages.split_special && token.special;
    if (token.normalized == normalized && !is_text) chosen.push_back(token);
  }
  return chosen;
}

/// Tokens that are looked for in normalized text are themselves normalized.
std::vector<AddedToken> normalized_tokens(const BpeStages& stages) {
  std::vector<AddedToken> tokens = tokens_with(stages, true);
  for (AddedToken& token : tokens) {
    token.content = stages.normalizer->normalize(std::move(token.content));
  }
  return tokens;
}

}  // namespace

BpeTokenizer::BpeTokenizer(BpeStages stages)
    : model_(stages.model),
      frame_(std::move(stages.frame)),
      raw_tokens_(tokens_with(stages, false)),
      normalized_tokens_(normalized_tokens(stages)),
      vocab_size_(model_.id_count()) {
  for (const AddedToken& token : stages.added_tokens) {
    vocab_size_ = std::max<std::int64_t>(vocab_size_, std::int64_t{token.id} + 1);
  }
  normalizer_ = std::move(stages.normalizer);
  pre_tokenizer_ = std::move(stages.pre_tokenizer);
}

std::vector<std::int32_t> BpeTokenizer::encode(std::string_view text, bool add_special) const {
  if (text.size() > kLargestText) {
    fail(ErrorKind::kInput, "text: a text of {} bytes; expected at most {}; cut it into parts",
         text.size(), kLargestText);
  }
  pretokenizer::check_utf8(text);
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (add_special) ids = frame_.before;
  BpeEncoder encoder(model_, text.size(), ids);
  for (const Segment& segment : raw_tokens_.split(text)) {
    if (segment.token != kNoToken) {
      encoder.append(segment.token);
    } else {
      encode_raw(segment.text, segment.text.data() == text.data(), encoder);
    }
  }
  if (add_special) ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
  return ids;
}

void BpeTokenizer::encode_raw(std::string_view text, bool at_text_start,
                              BpeEncoder& encoder) const {
  const std::string normalized = normalizer_->normalize(std::string(text));
  for (const Segment& segment : normalized_tokens_.split(normalized)) {
    if (segment.token != kNoToken) {
      encoder.append(segment.token);
    } else {
      const bool first = at_text_start && segment.text.data() == normalized.data();
      encode_normalized(segment.text, first, encoder);
    }
  }
}

void BpeTokenizer::encode_normalized(std::string_view text, bool at_text_start,
                                     BpeEncoder& encoder) const {
  pretokenizer::Pieces pieces(text, at_text_start);
  for (const auto& step : pre_tokenizer_.steps) step->apply(pieces);
  for (const pretokenizer::Piece& piece : pieces.list()) encoder.encode(piece.text);
}

}  // namespace sgpt_mi::tokenizer
