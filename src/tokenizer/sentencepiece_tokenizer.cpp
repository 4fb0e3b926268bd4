#include <sentencepiece_processor.h>

#include <algorithm>
#include <utility>

#include "added_tokens.h"
#include "piece_cache.h"
#include "post_processor.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/utf8.h"
#include "space_cuts.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

/// The special tokens of a model and what one call puts around a text.
struct Specials {
  std::vector<AddedToken> tokens;
  SpecialFrame frame;
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor,
                         SpaceCuts cuts, Specials specials)
      : processor_(std::move(processor)),
        cuts_(std::move(cuts)),
        special_(specials.tokens),
        vocab_size_(processor_->GetPieceSize()),
        frame_(std::move(specials.frame)) {
    for (const AddedToken& token : specials.tokens) {
      vocab_size_ = std::max<std::int64_t>(vocab_size_, std::int64_t{token.id} + 1);
    }
  }

  std::vector<std::int32_t> encode(std::string_view text, bool add_special) const override {
    pretokenizer::check_utf8(text);
    std::vector<std::int32_t> ids;
    if (add_special) ids = frame_.before;
    PieceCache cache(text.size(), ids);
    for (const Segment& segment : special_.split(text)) {
      if (segment.token != kNoToken) {
        ids.push_back(segment.token);
      } else {
        append_text(segment.text, cache, ids);
      }
    }
    if (add_special) ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
    return ids;
  }

  std::int64_t vocab_size() const override { return vocab_size_; }
  std::optional<std::int32_t> bos_id() const override { return frame_.bos(); }

 private:
  void append_text(std::string_view text, PieceCache& cache, std::vector<std::int32_t>& ids) const {
    for (const std::string_view part : cuts_.parts(text)) {
      cache.append(part, [&](std::string_view missing) { append_pieces(missing, ids); });
    }
  }

  void append_pieces(std::string_view text, std::vector<std::int32_t>& ids) const {
    std::vector<int> pieces;
    const auto status = processor_->Encode({text.data(), text.size()}, &pieces);
    if (!status.ok()) fail(ErrorKind::kInput, "text: sentencepiece: {}", status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  SpaceCuts cuts_;
  AddedTokenMatcher special_;
  std::int64_t vocab_size_;
  SpecialFrame frame_;
};

Specials find_specials(const sentencepiece::SentencePieceProcessor& processor,
                       const SpecialTokenFiles& files) {
  Specials specials{.tokens = files.numbered_tokens(), .frame = {}};
  const std::vector<AddedToken> numbered = specials.tokens;
  const auto find_id = [&](const std::string& content) -> std::optional<std::int32_t> {
    for (const AddedToken& token : numbered) {
      if (token.content == content) return token.id;
    }
    const int id = processor.PieceToId(content);
    return processor.IdToPiece(id) == content ? std::optional(id) : std::nullopt;
  };
  const auto id_of = [&](const std::string& content) {
    if (const auto id = find_id(content)) return *id;
    fail(ErrorKind::kInput, "text: special token '{}' is not in the sentencepiece model", content);
  };
  for (AddedToken& token : files.role_tokens()) {
    token.id = id_of(token.content);
    specials.tokens.push_back(std::move(token));
  }
  const std::string bos = files.role("bos_token", "<s>").value();
  const std::string eos = files.role("eos_token", "</s>").value();
  for (const std::string& content : {bos, eos, files.role("unk_token", "<unk>").value()}) {
    if (const auto id = find_id(content)) {
      specials.tokens.push_back({.content = content, .id = *id});
    }
  }
  if (files.flag("add_bos_token", true)) specials.frame.before.push_back(id_of(bos));
  if (files.flag("add_eos_token", false)) specials.frame.after.push_back(id_of(eos));
  return specials;
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(const std::string& model,
                                                        const SpecialTokenFiles& special) {
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto({model.data(), model.size()});
  if (!status.ok()) {
    fail(ErrorKind::kInput, "text: not a sentencepiece model: {}", status.ToString());
  }
  Specials specials = find_specials(*processor, special);
  return std::make_unique<SentencePieceTokenizer>(std::move(processor), SpaceCuts(model),
                                                  std::move(specials));
}

}  // namespace sgpt_mi::tokenizer
