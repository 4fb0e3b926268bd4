#include "gguf_tokenizer.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "gguf_pre.h"
#include "protobuf_wire.h"
#include "sentencepiece_proto.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

namespace proto = sentencepiece_proto;

void check_lengths(const GgufVocabulary& vocabulary) {
  const std::size_t tokens = vocabulary.tokens.size();
  const bool scores = vocabulary.scores.empty() || vocabulary.scores.size() == tokens;
  const bool types = vocabulary.types.empty() || vocabulary.types.size() == tokens;
  if (tokens == 0 || !scores || !types) {
    fail(ErrorKind::kInput,
         "text: the GGUF vocabulary has {} tokens, {} scores and {} types; expected equal numbers",
         tokens, vocabulary.scores.size(), vocabulary.types.size());
  }
  for (const auto& id : {vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id}) {
    if (id && (*id < 0 || static_cast<std::size_t>(*id) >= tokens)) {
      fail(ErrorKind::kInput, "text: special token id {} of the GGUF file; expected 0 to {}", *id,
           tokens - 1);
    }
  }
}

bool is_byte_piece(std::string_view piece) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>') &&
         kHex.find(piece[3]) != std::string_view::npos &&
         kHex.find(piece[4]) != std::string_view::npos;
}

/// The piece type; sentencepiece wants exactly one unknown piece, which GGUF may call control.
std::int32_t type_of(const GgufVocabulary& vocabulary, std::size_t i) {
  const auto id = static_cast<std::int32_t>(i);
  if (vocabulary.unk_id == id) return proto::kUnknown;
  if (!vocabulary.types.empty()) return vocabulary.types[i];
  if (vocabulary.bos_id == id || vocabulary.eos_id == id) return proto::kControl;
  return is_byte_piece(vocabulary.tokens[i]) ? proto::kByte : proto::kNormal;
}

std::string trainer_spec(const GgufVocabulary& vocabulary) {
  ProtobufWriter spec;
  spec.number(proto::kModelType, proto::kModelTypeBpe);
  spec.number(proto::kVocabSize, vocabulary.tokens.size());
  bool bytes = false;
  for (std::size_t i = 0; i < vocabulary.tokens.size() && !bytes; ++i) {
    bytes = type_of(vocabulary, i) == proto::kByte;
  }
  spec.number(proto::kByteFallback, bytes ? 1 : 0);
  const auto name = [&](std::uint32_t field, const std::optional<std::int32_t>& id) {
    if (id) spec.bytes(field, vocabulary.tokens[static_cast<std::size_t>(*id)]);
  };
  name(proto::kUnkPiece, vocabulary.unk_id);
  name(proto::kBosPiece, vocabulary.bos_id);
  name(proto::kEosPiece, vocabulary.eos_id);
  return spec.message();
}

std::string normalizer_spec(const GgufVocabulary& vocabulary) {
  ProtobufWriter spec;
  spec.bytes(proto::kNormalizerName, "identity");
  spec.number(proto::kAddDummyPrefix, vocabulary.add_space_prefix ? 1 : 0);
  spec.number(proto::kRemoveExtraWhitespaces, 0);
  spec.number(proto::kEscapeWhitespaces, 1);
  return spec.message();
}

nlohmann::json added_token(std::int32_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

nlohmann::json bos_template(std::int32_t id, const std::string& content) {
  return {{"type", "TemplateProcessing"},
          {"single",
           {{{"SpecialToken", {{"id", content}, {"type_id", 0}}}},
            {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
          {"pair",
           {{{"SpecialToken", {{"id", content}, {"type_id", 0}}}},
            {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
            {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
          {"special_tokens", {{content, {{"id", content}, {"ids", {id}}, {"tokens", {content}}}}}}};
}

/// Names the tokens of the roles that the vocabulary has.
void name_roles(const GgufVocabulary& vocabulary, nlohmann::json& config) {
  const auto name = [&](const char* role, const std::optional<std::int32_t>& id) {
    if (id) config[role] = vocabulary.tokens[static_cast<std::size_t>(*id)];
  };
  name("bos_token", vocabulary.bos_id);
  name("eos_token", vocabulary.eos_id);
  name("unk_token", vocabulary.unk_id);
}

/// tokenizer_config.json beside a tokenizer.json, which says everything else.
nlohmann::json bpe_tokenizer_config(const GgufVocabulary& vocabulary) {
  nlohmann::json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                           {"clean_up_tokenization_spaces", false}};
  name_roles(vocabulary, config);
  return config;
}

}  // namespace

bool gguf_scores_say_nothing(const GgufVocabulary& vocabulary) {
  const std::vector<float>& scores = vocabulary.scores;
  return std::all_of(scores.begin(), scores.end(),
                     [&](float score) { return score == scores.front(); });
}

nlohmann::json gguf_control_tokens(const GgufVocabulary& vocabulary) {
  nlohmann::json added = nlohmann::json::array();
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::int32_t type = type_of(vocabulary, i);
    if (type != proto::kControl && type != proto::kUnknown) continue;
    added.push_back(added_token(static_cast<std::int32_t>(i), vocabulary.tokens[i]));
  }
  return added;
}

nlohmann::json gguf_post_processor(const GgufVocabulary& vocabulary) {
  if (!vocabulary.add_bos || !vocabulary.bos_id) return nullptr;
  const auto bos = static_cast<std::size_t>(*vocabulary.bos_id);
  return bos_template(*vocabulary.bos_id, vocabulary.tokens[bos]);
}

std::string gguf_sentencepiece_model(const GgufVocabulary& vocabulary) {
  check_lengths(vocabulary);
  const bool by_id = gguf_scores_say_nothing(vocabulary);
  ProtobufWriter model;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    ProtobufWriter piece;
    piece.bytes(proto::kPieceText, vocabulary.tokens[i]);
    piece.real(proto::kPieceScore, by_id ? -static_cast<float>(i) : vocabulary.scores[i]);
    piece.number(proto::kPieceType, static_cast<std::uint64_t>(type_of(vocabulary, i)));
    model.bytes(proto::kPieces, piece.message());
  }
  model.bytes(proto::kTrainerSpec, trainer_spec(vocabulary));
  model.bytes(proto::kNormalizerSpec, normalizer_spec(vocabulary));
  return model.message();
}

nlohmann::json gguf_tokenizer_config(const GgufVocabulary& vocabulary) {
  check_lengths(vocabulary);
  nlohmann::json config = {{"tokenizer_class", "LlamaTokenizer"},
                           {"add_bos_token", vocabulary.add_bos && vocabulary.bos_id.has_value()},
                           {"add_eos_token", false},
                           {"legacy", true}};
  name_roles(vocabulary, config);
  nlohmann::json& added = config["added_tokens_decoder"] = nlohmann::json::object();
  for (const nlohmann::json& token : gguf_control_tokens(vocabulary)) {
    added[token["id"].dump()] = token;
    added[token["id"].dump()].erase("id");  // the key says it
  }
  return config;
}

nlohmann::json gguf_tokenizer_json(const GgufVocabulary& vocabulary) {
  check_lengths(vocabulary);
  const GgufSplit split = gguf_split(vocabulary.pre);
  nlohmann::json vocab = nlohmann::json::object();
  nlohmann::json added = nlohmann::json::array();
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    const std::int32_t type = vocabulary.types.empty() ? proto::kNormal : vocabulary.types[i];
    if (type == proto::kControl || type == proto::kUserDefined) {
      added.push_back(added_token(id, vocabulary.tokens[i]));
    }
    vocab[vocabulary.tokens[i]] = id;  // all of them: the tokenizers library numbers others anew
  }
  nlohmann::json json = {{"version", "1.0"},
                         {"added_tokens", std::move(added)},
                         {"normalizer", split.normalizer},
                         {"pre_tokenizer", split.pre_tokenizer},
                         {"post_processor", gguf_post_processor(vocabulary)},
                         {"decoder", byte_level_json(true)}};
  json["model"] = {{"type", "BPE"},
                   {"ignore_merges", split.ignore_merges},
                   {"vocab", std::move(vocab)},
                   {"merges", vocabulary.merges}};
  return json;
}

std::unique_ptr<Tokenizer> load_tokenizer(const GgufVocabulary& vocabulary) {
  if (vocabulary.model == "llama") {
    return tokenizer_from_sentencepiece(gguf_sentencepiece_model(vocabulary),
                                        SpecialTokenFiles(gguf_tokenizer_config(vocabulary)));
  }
  if (vocabulary.model == "gpt2") {
    return tokenizer_from_json(gguf_tokenizer_json(vocabulary), SpecialTokenFiles());
  }
  fail(ErrorKind::kInput,
       "text: GGUF tokenizer model '{}' is not supported; expected 'llama' or 'gpt2'; use the "
       "model's Hugging Face folder",
       vocabulary.model);
}

std::vector<std::pair<std::string, std::string>> tokenizer_files(const GgufVocabulary& vocabulary) {
  if (vocabulary.model == "gpt2") {
    return {{"tokenizer.json", gguf_tokenizer_json(vocabulary).dump()},
            {"tokenizer_config.json", bpe_tokenizer_config(vocabulary).dump(2)}};
  }
  if (vocabulary.model == "llama") {
    nlohmann::json config = gguf_tokenizer_config(vocabulary);
    config["tokenizer_class"] = "PreTrainedTokenizerFast";  // takes tokenizer.json as it is
    return {{"tokenizer.json", gguf_sentencepiece_json(vocabulary).dump()},
            {"tokenizer.model", gguf_sentencepiece_model(vocabulary)},
            {"tokenizer_config.json", config.dump(2)}};
  }
  fail(ErrorKind::kInput,
       "text: GGUF tokenizer model '{}' is not supported; expected 'llama' or 'gpt2'",
       vocabulary.model);
}

}  // namespace sgpt_mi::tokenizer
