#include "gguf_tokenizer.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "protobuf_wire.h"
#include "sentencepiece_proto.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/tokenizer/tokenizer.h"
#include "special_tokens.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

namespace proto = sentencepiece_proto;

/// The pre-tokenizers of llama.cpp by name, as their models' tokenizer.json gives them.
struct PreRule {
  std::string_view name;
  const char* split;       ///< text::Split pattern; empty: ByteLevel's own
  const char* normalizer;  ///< type, or empty
  bool individual_digits;  ///< a Digits step in front
  bool ignore_merges;
};

constexpr const char* kLlama3Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Split =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr PreRule kPreRules[] = {{"gpt-2", "", "", false, false},
                                 {"llama-bpe", kLlama3Split, "", false, true},
                                 {"qwen2", kQwen2Split, "NFC", false, false},
                                 {"smollm", "", "", true, false}};

const PreRule& find_rule(const std::string& pre) {
  std::vector<std::string_view> known;
  for (const PreRule& rule : kPreRules) {
    if (rule.name == pre) return rule;
    known.push_back(rule.name);
  }
  fail(
      ErrorKind::kInput,
      "text: GGUF pre-tokenizer '{}' is not supported; expected one of {}; use the model's Hugging "
      "Face folder",
      pre, fmt::join(known, ", "));
}

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

bool scores_say_nothing(const std::vector<float>& scores) {
  return std::all_of(scores.begin(), scores.end(),
                     [&](float score) { return score == scores.front(); });
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
          {"pair", nlohmann::json::array()},
          {"special_tokens", {{content, {{"id", content}, {"ids", {id}}, {"tokens", {content}}}}}}};
}

nlohmann::json pre_tokenizer_json(const PreRule& rule) {
  nlohmann::json steps = nlohmann::json::array();
  const std::string_view split = rule.split;
  if (rule.individual_digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (!split.empty()) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", split}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", split.empty()}});
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

nlohmann::json normalizer_json(const PreRule& rule) {
  if (*rule.normalizer == '\0') return nullptr;
  return {{"type", rule.normalizer}};
}

/// Adds the steps of a pre-tokenizer or normalizer to a list, without the members that change no
/// piece, so that equal lists split alike.
void add_plain_steps(const nlohmann::json& json, nlohmann::json& steps) {
  if (json.is_null()) return;
  const std::string type = pretokenizer::string_member(json, "type");
  if (type == "Sequence") {
    const char* members = json.contains("normalizers") ? "normalizers" : "pretokenizers";
    for (const nlohmann::json& step : pretokenizer::member(json, members)) {
      add_plain_steps(step, steps);
    }
    return;
  }
  nlohmann::json step = json;
  step.erase("trim_offsets");
  if (type == "ByteLevel") {
    step["add_prefix_space"] = pretokenizer::bool_member(json, "add_prefix_space", true);
    step["use_regex"] = pretokenizer::bool_member(json, "use_regex", true);
  }
  if (type == "Split") step["invert"] = pretokenizer::bool_member(json, "invert", false);
  steps.push_back(std::move(step));
}

nlohmann::json plain_steps(const nlohmann::json& json) {
  nlohmann::json steps = nlohmann::json::array();
  add_plain_steps(json, steps);
  return steps;
}

}  // namespace

std::string gguf_pre_of(const nlohmann::json& tokenizer) {
  const nlohmann::json pieces = plain_steps(tokenizer.value("pre_tokenizer", nlohmann::json()));
  const nlohmann::json forms = plain_steps(tokenizer.value("normalizer", nlohmann::json()));
  const bool ignores_merges =
      pretokenizer::bool_member(pretokenizer::member(tokenizer, "model"), "ignore_merges", false);
  for (const PreRule& rule : kPreRules) {
    if (plain_steps(pre_tokenizer_json(rule)) == pieces &&
        plain_steps(normalizer_json(rule)) == forms && rule.ignore_merges == ignores_merges) {
      return std::string(rule.name);
    }
  }
  fail(ErrorKind::kInput,
       "text: llama.cpp has no name for this pre-tokenizer, so a GGUF file cannot say it: {} after "
       "the normalizer {}, ignore_merges {}",
       pieces.dump(), forms.dump(), ignores_merges);
}

std::string gguf_sentencepiece_model(const GgufVocabulary& vocabulary) {
  check_lengths(vocabulary);
  const bool by_id = scores_say_nothing(vocabulary.scores);
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
  const auto name = [&](const char* role, const std::optional<std::int32_t>& id) {
    if (id) config[role] = vocabulary.tokens[static_cast<std::size_t>(*id)];
  };
  name("bos_token", vocabulary.bos_id);
  name("eos_token", vocabulary.eos_id);
  name("unk_token", vocabulary.unk_id);
  nlohmann::json& added = config["added_tokens_decoder"] = nlohmann::json::object();
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::int32_t type = type_of(vocabulary, i);
    if (type != proto::kControl && type != proto::kUnknown) continue;
    added[std::to_string(i)] = added_token(static_cast<std::int32_t>(i), vocabulary.tokens[i]);
  }
  return config;
}

nlohmann::json gguf_tokenizer_json(const GgufVocabulary& vocabulary) {
  check_lengths(vocabulary);
  const PreRule& rule = find_rule(vocabulary.pre);
  nlohmann::json vocab = nlohmann::json::object();
  nlohmann::json added = nlohmann::json::array();
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    const std::int32_t type = vocabulary.types.empty() ? proto::kNormal : vocabulary.types[i];
    if (type == proto::kControl || type == proto::kUserDefined) {
      added.push_back(added_token(id, vocabulary.tokens[i]));
    } else {
      vocab[vocabulary.tokens[i]] = id;
    }
  }
  nlohmann::json json = {{"version", "1.0"},
                         {"added_tokens", std::move(added)},
                         {"normalizer", normalizer_json(rule)},
                         {"pre_tokenizer", pre_tokenizer_json(rule)},
                         {"post_processor", nullptr},
                         {"decoder", {{"type", "ByteLevel"}}}};
  if (vocabulary.add_bos && vocabulary.bos_id) {
    const auto bos = static_cast<std::size_t>(*vocabulary.bos_id);
    json["post_processor"] = bos_template(*vocabulary.bos_id, vocabulary.tokens[bos]);
  }
  json["model"] = {{"type", "BPE"},
                   {"ignore_merges", rule.ignore_merges},
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
    return tokenizer_from_json(gguf_tokenizer_json(vocabulary));
  }
  fail(ErrorKind::kInput,
       "text: GGUF tokenizer model '{}' is not supported; expected 'llama' or 'gpt2'; use the "
       "model's Hugging Face folder",
       vocabulary.model);
}

std::vector<std::pair<std::string, std::string>> tokenizer_files(const GgufVocabulary& vocabulary) {
  if (vocabulary.model == "gpt2") {
    return {{"tokenizer.json", gguf_tokenizer_json(vocabulary).dump()}};
  }
  if (vocabulary.model == "llama") {
    return {{"tokenizer.model", gguf_sentencepiece_model(vocabulary)},
            {"tokenizer_config.json", gguf_tokenizer_config(vocabulary).dump(2)}};
  }
  fail(ErrorKind::kInput,
       "text: GGUF tokenizer model '{}' is not supported; expected 'llama' or 'gpt2'",
       vocabulary.model);
}

}  // namespace sgpt_mi::tokenizer
