#include <sentencepiece_processor.h>

#include <algorithm>
#include <utility>

#include "piece_cache.h"
#include "post_processor.h"
#include "protobuf_wire.h"
#include "sentencepiece_proto.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/utf8.h"
#include "space_cuts.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

using special_tokens::AddedToken;
using special_tokens::AddedVocabulary;
using special_tokens::BaseVocabulary;
using special_tokens::kNoToken;
using special_tokens::Segment;
using Processor = sentencepiece::SentencePieceProcessor;

/// Which stretches of a text get the model's dummy prefix.
enum class DummyPrefix { kEvery, kFirst, kNone };

/// The special tokens of a model and what stands around a text.
struct Specials {
  std::vector<AddedToken> tokens;
  SpecialFrame frame;
  DummyPrefix prefix = DummyPrefix::kEvery;
};

std::unique_ptr<Processor> load_processor(const std::string& model) {
  auto processor = std::make_unique<Processor>();
  const auto status = processor->LoadFromSerializedProto({model.data(), model.size()});
  if (!status.ok()) {
    fail(ErrorKind::kInput,
         "text: the vocabulary is not a sentencepiece model: tokenizer.model is cut, empty or of "
         "another kind, such as tiktoken's; get the file again, or a tokenizer.json");
  }
  return processor;
}

/// The same model without its dummy prefix: messages of protobuf that follow each other are merged.
std::string without_dummy_prefix(const std::string& model) {
  ProtobufWriter normalizer;
  normalizer.number(sentencepiece_proto::kAddDummyPrefix, 0);
  ProtobufWriter change;
  change.bytes(sentencepiece_proto::kNormalizerSpec, normalizer.message());
  return model + change.message();
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& model, std::unique_ptr<Processor> processor,
                         const Specials& specials)
      : processor_(std::move(processor)),
        cuts_(model),
        prefix_(specials.prefix),
        special_(specials.tokens),
        vocab_size_(processor_->GetPieceSize()),
        frame_(specials.frame) {
    if (prefix_ != DummyPrefix::kEvery) bare_ = load_processor(without_dummy_prefix(model));
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
        append_text(segment.text, segment.text.data() == text.data(), cache, ids);
      }
    }
    if (add_special) ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
    return ids;
  }

  std::int64_t vocab_size() const override { return vocab_size_; }
  std::optional<std::int32_t> bos_id() const override { return frame_.bos(); }

 private:
  void append_text(std::string_view text, bool at_start, PieceCache& cache,
                   std::vector<std::int32_t>& ids) const {
    const bool prefixed =
        prefix_ == DummyPrefix::kEvery || (prefix_ == DummyPrefix::kFirst && at_start);
    for (const std::string_view part : cuts_.parts(text)) {
      // Behind a cut the prefix stands for the space that was there.
      if (!prefixed && part.data() == text.data()) {
        append_pieces(*bare_, part, ids);
      } else {
        cache.append(part,
                     [&](std::string_view missing) { append_pieces(*processor_, missing, ids); });
      }
    }
  }

  static void append_pieces(const Processor& processor, std::string_view text,
                            std::vector<std::int32_t>& ids) {
    std::vector<int> pieces;
    const auto status = processor.Encode({text.data(), text.size()}, &pieces);
    if (!status.ok()) fail(ErrorKind::kInput, "text: sentencepiece: {}", status.ToString());
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  std::unique_ptr<Processor> processor_;
  std::unique_ptr<Processor> bare_;  ///< without a dummy prefix; only where some stretch has none
  SpaceCuts cuts_;
  DummyPrefix prefix_;
  special_tokens::AddedTokenMatcher special_;
  std::int64_t vocab_size_;
  SpecialFrame frame_;
};

BaseVocabulary base_vocabulary_of(const Processor& processor) {
  BaseVocabulary base;
  base.id_of = [&processor](const std::string& content) -> std::optional<std::int32_t> {
    const int id = processor.PieceToId(content);
    return processor.IdToPiece(id) == content ? std::optional(id) : std::nullopt;
  };
  base.tokens = base.id_count = processor.GetPieceSize();
  return base;
}

std::vector<AddedToken> control_pieces(const Processor& processor) {
  std::vector<AddedToken> tokens;
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    if (processor.IsControl(id)) {
      tokens.push_back({.content = processor.IdToPiece(id), .id = id, .special = true});
    }
  }
  return tokens;
}

/// What stands around a text; a role that a file sets to null is not there.
SpecialFrame find_frame(const AddedVocabulary& added, const SpecialTokenFiles& files) {
  SpecialFrame frame;
  const auto side = [&](bool wanted, const char* role, const char* otherwise,
                        std::vector<std::int32_t>& ids) {
    const std::optional<std::string> content = files.role(role, otherwise);
    if (!wanted || !content) return;
    const std::optional<std::int32_t> id = added.id_of(*content);
    if (!id) {
      fail(ErrorKind::kInput,
           "text: special token '{}' is not in the sentencepiece model; expected it there or in "
           "tokenizer_config.json",
           *content);
    }
    ids.push_back(*id);
  };
  side(files.flag("add_bos_token", true), "bos_token", "<s>", frame.before);
  side(files.flag("add_eos_token", false), "eos_token", "</s>", frame.after);
  return frame;
}

Specials find_specials(const Processor& processor, const SpecialTokenFiles& files) {
  const AddedVocabulary added =
      sentencepiece_added_tokens(base_vocabulary_of(processor), control_pieces(processor), files);
  Specials specials{.tokens = added.tokens(), .frame = find_frame(added, files)};
  if (!files.flag("legacy", true)) specials.prefix = DummyPrefix::kFirst;
  if (!files.flag("add_prefix_space", true)) specials.prefix = DummyPrefix::kNone;
  if (files.flag("split_special_tokens", false)) {
    std::erase_if(specials.tokens, [](const AddedToken& token) { return token.special; });
  }
  return specials;
}

}  // namespace

AddedVocabulary sentencepiece_added_tokens(BaseVocabulary base,
                                           const std::vector<AddedToken>& stored,
                                           const SpecialTokenFiles& files) {
  special_tokens::RoleDefaults defaults = {
      {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
  std::erase_if(defaults, [&](const auto& row) { return !base.id_of(row.second); });
  return special_tokens::gather_added_tokens(std::move(base), stored, files, defaults);
}

std::unique_ptr<Tokenizer> tokenizer_from_sentencepiece(const std::string& model,
                                                        const SpecialTokenFiles& files) {
  auto processor = load_processor(model);
  const Specials specials = find_specials(*processor, files);
  return std::make_unique<SentencePieceTokenizer>(model, std::move(processor), specials);
}

}  // namespace sgpt_mi::tokenizer
