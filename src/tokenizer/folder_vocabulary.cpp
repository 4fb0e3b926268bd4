#include <algorithm>
#include <bit>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "gguf_pre.h"
#include "protobuf_wire.h"
#include "sentencepiece_proto.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/special_tokens/tokenizer_file.h"
#include "sgpt_mi/tokenizer/gguf_vocabulary.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

namespace fs = std::filesystem;
using special_tokens::AddedToken;

constexpr float kAddedScore = -1000.0F;        // as llama.cpp's converter gives to added tokens
constexpr float kMissingScore = -10000.0F;     // and to ids without a token
constexpr std::int32_t kMostTokens = 1 << 22;  // many times the largest vocabulary in use
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, sentencepiece's space

/// A vocabulary that is filled id by id.
class Entries {
 public:
  Entries(GgufVocabulary& vocabulary, bool scored) : vocabulary_(vocabulary), scored_(scored) {}

  void set(std::int32_t id, std::string text, std::int32_t type, float score) {
    if (id >= kMostTokens) {
      fail(ErrorKind::kInput, "text: token '{}' has the id {}; at most {} are possible", text, id,
           kMostTokens);
    }
    const auto at = static_cast<std::size_t>(id);
    while (vocabulary_.tokens.size() <= at) {
      vocabulary_.tokens.push_back(fmt::format("[PAD{}]", vocabulary_.tokens.size()));
      vocabulary_.types.push_back(sentencepiece_proto::kUnused);
      if (scored_) vocabulary_.scores.push_back(kMissingScore);
    }
    vocabulary_.tokens[at] = std::move(text);
    vocabulary_.types[at] = type;
    if (scored_) vocabulary_.scores[at] = score;
  }

 private:
  GgufVocabulary& vocabulary_;
  bool scored_;
};

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// Some added tokens are control tokens without saying so (llama.cpp's converter has these names).
bool looks_special(std::string_view text) {
  constexpr std::string_view kNames[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
  const auto between = [&](std::string_view start, std::string_view end) {
    return text.starts_with(start) && text.ends_with(end);
  };
  return std::find(std::begin(kNames), std::end(kNames), text) != std::end(kNames) ||
         between("<|", "|>") || between("<\xEF\xBD\x9C", "\xEF\xBD\x9C>") ||
         between("<unused", ">");
}

void set_added_tokens(const std::vector<AddedToken>& tokens, Entries& entries) {
  for (const AddedToken& token : tokens) {
    if (token.special || looks_special(token.content)) {
      entries.set(token.id, token.content, sentencepiece_proto::kControl, kAddedScore);
    } else {
      entries.set(token.id, replace_all(token.content, kSpaceMark, " "),
                  sentencepiece_proto::kUserDefined, kAddedScore);
    }
  }
}

/// A token with spaces is written with the byte alphabet's letter for it, as tokens are.
std::string merge_text(const std::pair<std::string, std::string>& merge) {
  return fmt::format("{} {}", replace_all(merge.first, " ", "\xC4\xA0"),
                     replace_all(merge.second, " ", "\xC4\xA0"));
}

bool is_byte_token(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
}

GgufVocabulary byte_level_vocabulary(const BpeStages& stages, std::string pre) {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = std::move(pre);
  vocabulary.add_space_prefix = false;
  Entries entries(vocabulary, false);
  for (const auto& [text, id] : stages.model.vocabulary) {
    entries.set(id, text, sentencepiece_proto::kNormal, 0.0F);
  }
  set_added_tokens(stages.added_tokens, entries);
  for (const auto& merge : stages.model.merges) vocabulary.merges.push_back(merge_text(merge));
  return vocabulary;
}

/// Whether text gets a space in front, of a tokenizer.json made from a sentencepiece model: spaces
/// are marked either by the normalizer or by Metaspace, and nothing is split. Nothing for another.
std::optional<bool> space_prefix_of(const nlohmann::json& json) {
  const nlohmann::json normalizer = json.value("normalizer", nlohmann::json());
  const nlohmann::json splits = json.value("pre_tokenizer", nlohmann::json());
  const nlohmann::json mark = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}};
  const nlohmann::json prepend = {{"type", "Prepend"}, {"prepend", kSpaceMark}};
  if (splits.is_null()) {
    if (normalizer == mark) return false;
    const nlohmann::json both = nlohmann::json::array({prepend, mark});
    const bool prefixed = normalizer.is_object() && normalizer.value("type", "") == "Sequence" &&
                          normalizer.value("normalizers", nlohmann::json()) == both;
    return prefixed ? std::optional(true) : std::nullopt;
  }
  const bool marks = normalizer.is_null() && splits.value("type", "") == "Metaspace" &&
                     splits.value("replacement", "") == kSpaceMark && !splits.value("split", true);
  if (!marks) return std::nullopt;
  return splits.value("prepend_scheme", "always") != "never";
}

/// llama.cpp merges by the score of the product and knows no list of merges: a token's score is the
/// place of the first merge that makes it, and a token that no merge makes comes last.
GgufVocabulary merged_vocabulary(const nlohmann::json& json, const BpeStages& stages) {
  const std::optional<bool> space_prefix = space_prefix_of(json);
  if (!space_prefix) {
    fail(ErrorKind::kInput,
         "text: a GGUF file cannot say the normalizer and pre-tokenizer of this tokenizer.json: {} "
         "and {}; byte-level tokenizers and those made from sentencepiece can be written",
         json.value("normalizer", nlohmann::json()).dump(),
         json.value("pre_tokenizer", nlohmann::json()).dump());
  }
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  vocabulary.add_space_prefix = *space_prefix;
  const std::size_t merges = stages.model.merges.size();
  Entries entries(vocabulary, true);
  for (const auto& [text, id] : stages.model.vocabulary) {
    const bool is_byte = stages.model.byte_fallback && is_byte_token(text);
    entries.set(id, text, is_byte ? sentencepiece_proto::kByte : sentencepiece_proto::kNormal,
                -static_cast<float>(merges));
  }
  for (std::size_t rank = merges; rank-- > 0;) {
    const auto& [left, right] = stages.model.merges[rank];
    const auto product = stages.model.vocabulary.find(left + right);
    if (product == stages.model.vocabulary.end()) continue;
    vocabulary.scores[static_cast<std::size_t>(product->second)] = -static_cast<float>(rank);
  }
  set_added_tokens(stages.added_tokens, entries);
  return vocabulary;
}

struct Piece {
  std::string text;
  float score = 0.0F;
  std::int32_t type = sentencepiece_proto::kNormal;
};

Piece parse_piece(std::string_view message) {
  Piece piece;
  for (const ProtobufField& field : protobuf_fields(message)) {
    if (field.field == sentencepiece_proto::kPieceText) piece.text = field.bytes;
    if (field.field == sentencepiece_proto::kPieceType) {
      piece.type = static_cast<std::int32_t>(field.number);
    }
    if (field.field == sentencepiece_proto::kPieceScore && field.bytes.size() == sizeof(float)) {
      std::copy_n(field.bytes.data(), sizeof(float), reinterpret_cast<char*>(&piece.score));
    }
  }
  return piece;
}

/// A number of a sub-message; `otherwise` when it is not there.
std::uint64_t proto_number(std::string_view message, std::uint32_t wanted,
                           std::uint64_t otherwise) {
  for (const ProtobufField& field : protobuf_fields(message)) {
    if (field.field == wanted) otherwise = field.number;
  }
  return otherwise;
}

/// Throws unless pieces are merged by score and texts are left as they are.
void check_sentencepiece(std::string_view trainer, std::string_view normalizer) {
  if (proto_number(trainer, sentencepiece_proto::kModelType, 0) !=
      sentencepiece_proto::kModelTypeBpe) {
    fail(
        ErrorKind::kInput,
        "text: the sentencepiece model is not BPE; llama.cpp's 'llama' tokenizer merges pieces, so "
        "a GGUF file cannot say it");
  }
  for (const ProtobufField& field : protobuf_fields(normalizer)) {
    if (field.field != sentencepiece_proto::kCharsMap || field.bytes.empty()) continue;
    fail(ErrorKind::kInput,
         "text: the sentencepiece model rewrites characters; llama.cpp's 'llama' tokenizer does "
         "not, so a GGUF file cannot say it");
  }
}

/// The pieces of a sentencepiece model by text.
special_tokens::BaseVocabulary base_of(const std::vector<std::string>& pieces) {
  std::unordered_map<std::string, std::int32_t> ids;
  for (const std::string& piece : pieces) {
    ids.emplace(piece, static_cast<std::int32_t>(ids.size()));
  }
  special_tokens::BaseVocabulary base;
  base.tokens = base.id_count = static_cast<std::int64_t>(pieces.size());
  base.id_of = [ids = std::move(ids)](const std::string& content) {
    const auto found = ids.find(content);
    return found == ids.end() ? std::nullopt : std::optional(found->second);
  };
  return base;
}

/// The added tokens that say more than the model's own pieces do: those that a file lists with an
/// id, and those that are new.
std::vector<AddedToken> listed_tokens(const std::vector<std::string>& pieces,
                                      std::vector<AddedToken> stored,
                                      const SpecialTokenFiles& files) {
  std::vector<AddedToken> tokens =
      sentencepiece_added_tokens(base_of(pieces), stored, files).tokens();
  for (AddedToken& token : files.numbered_tokens()) stored.push_back(std::move(token));
  std::erase_if(tokens, [&](const AddedToken& token) {
    const bool listed = std::any_of(stored.begin(), stored.end(), [&](const AddedToken& other) {
      return other.content == token.content;
    });
    return !listed && token.id < static_cast<std::int32_t>(pieces.size());
  });
  return tokens;
}

GgufVocabulary sentencepiece_vocabulary(const fs::path& folder,
                                        const std::vector<AddedToken>& stored,
                                        const SpecialTokenFiles& files) {
  const std::string model = special_tokens::read_tokenizer_file(folder / "tokenizer.model");
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  Entries entries(vocabulary, true);
  std::int32_t id = 0;
  std::string_view trainer;
  std::string_view normalizer;
  for (const ProtobufField& field : protobuf_fields(model)) {
    if (field.field == sentencepiece_proto::kTrainerSpec) trainer = field.bytes;
    if (field.field == sentencepiece_proto::kNormalizerSpec) normalizer = field.bytes;
    if (field.field != sentencepiece_proto::kPieces) continue;
    Piece piece = parse_piece(field.bytes);
    if (piece.type == sentencepiece_proto::kUnknown) vocabulary.unk_id = id;
    entries.set(id++, std::move(piece.text), piece.type, piece.score);
  }
  check_sentencepiece(trainer, normalizer);
  vocabulary.add_space_prefix =
      proto_number(normalizer, sentencepiece_proto::kAddDummyPrefix, 1) != 0 &&
      files.flag("add_prefix_space", true);
  const std::vector<std::string> pieces = vocabulary.tokens;
  set_added_tokens(listed_tokens(pieces, stored, files), entries);
  vocabulary.add_bos = files.flag("add_bos_token", true);
  vocabulary.add_eos = files.flag("add_eos_token", false);
  return vocabulary;
}

/// What the tokenizer puts around a text: at most the token of a role on each side.
void set_frame(const SpecialFrame& frame, GgufVocabulary& vocabulary) {
  const auto side = [&](const std::vector<std::int32_t>& ids, std::optional<std::int32_t>& role,
                        const char* name) {
    if (ids.size() > 1 || (ids.size() == 1 && role && *role != ids.front())) {
      fail(ErrorKind::kInput,
           "text: the tokenizer adds tokens that are not {} alone; a GGUF file cannot say it",
           name);
    }
    if (!ids.empty()) role = ids.front();
    return !ids.empty();
  };
  vocabulary.add_bos = side(frame.before, vocabulary.bos_id, "BOS");
  vocabulary.add_eos = side(frame.after, vocabulary.eos_id, "EOS");
}

/// A special id and the text that the token has in sentencepiece models when no file names it.
struct SpecialRole {
  const char* name;
  const char* sentencepiece;
  std::optional<std::int32_t> GgufVocabulary::*id;
};

constexpr SpecialRole kSpecialRoles[] = {
    {"bos", "<s>", &GgufVocabulary::bos_id}, {"eos", "</s>", &GgufVocabulary::eos_id},
    {"eot", "", &GgufVocabulary::eot_id},    {"unk", "<unk>", &GgufVocabulary::unk_id},
    {"sep", "", &GgufVocabulary::sep_id},    {"pad", "", &GgufVocabulary::pad_id},
    {"mask", "", &GgufVocabulary::mask_id}};

/// Special ids: the token that the tokenizer's files name, else the id in config.json.
void set_roles(const SpecialTokenFiles& files, const nlohmann::json& config,
               GgufVocabulary& vocabulary) {
  const auto& tokens = vocabulary.tokens;
  for (const SpecialRole& role : kSpecialRoles) {
    std::optional<std::int32_t>& id = vocabulary.*role.id;
    const std::string text = files
                                 .role(fmt::format("{}_token", role.name),
                                       vocabulary.model == "llama" ? role.sentencepiece : "")
                                 .value_or("");
    const auto found = text.empty() ? tokens.end() : std::find(tokens.begin(), tokens.end(), text);
    if (found != tokens.end()) {
      id = static_cast<std::int32_t>(found - tokens.begin());
      continue;
    }
    const auto number = config.find(fmt::format("{}_token_id", role.name));
    if (id || number == config.end() || !number->is_number_integer()) continue;
    const auto value = number->get<std::int64_t>();
    if (value >= 0 && value < static_cast<std::int64_t>(tokens.size())) {
      id = static_cast<std::int32_t>(value);
    }
  }
}

void set_unknown(const std::string& text, GgufVocabulary& vocabulary) {
  const auto& tokens = vocabulary.tokens;
  const auto found = std::find(tokens.begin(), tokens.end(), text);
  if (vocabulary.unk_id || text.empty() || found == tokens.end()) return;
  vocabulary.unk_id = static_cast<std::int32_t>(found - tokens.begin());
}

/// The vocabulary of tokenizer.json. Made from a sentencepiece model that is there, too, it is read
/// from that, which has the true scores.
GgufVocabulary json_vocabulary(const fs::path& folder, const SpecialTokenFiles& files,
                               const nlohmann::json& config) {
  const fs::path path = folder / "tokenizer.json";
  const nlohmann::json json = read_tokenizer_json(folder, files);
  const BpeStages stages =
      pretokenizer::reading(path.string(), [&] { return stages_from_json(json, files); });
  GgufVocabulary vocabulary;
  if (stages.pre_tokenizer.byte_level) {
    vocabulary = byte_level_vocabulary(stages, gguf_pre_of(json));
  } else if (fs::exists(folder / "tokenizer.model")) {
    vocabulary = sentencepiece_vocabulary(folder, stages.added_tokens, files);
  } else {
    vocabulary = merged_vocabulary(json, stages);
  }
  set_roles(files, config, vocabulary);
  set_unknown(stages.model.unknown_token.value_or(""), vocabulary);
  set_frame(stages.frame, vocabulary);
  return vocabulary;
}

GgufVocabulary vocab_and_merges_vocabulary(const fs::path& folder, const SpecialTokenFiles& files,
                                           const nlohmann::json& config) {
  const BpeStages stages = stages_from_vocab_and_merges(folder, files);
  GgufVocabulary vocabulary =
      byte_level_vocabulary(stages, gguf_pre_of(vocab_and_merges_json(files)));
  set_roles(files, config, vocabulary);
  set_frame(stages.frame, vocabulary);
  return vocabulary;
}

}  // namespace

std::optional<GgufVocabulary> gguf_vocabulary_of(const fs::path& folder,
                                                 const nlohmann::json& config) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  const SpecialTokenFiles files(folder);
  std::optional<GgufVocabulary> vocabulary;
  if (has("tokenizer.json")) {
    vocabulary = json_vocabulary(folder, files, config);
  } else if (has("vocab.json") && has("merges.txt")) {
    vocabulary = vocab_and_merges_vocabulary(folder, files, config);
  } else if (has("tokenizer.model")) {
    vocabulary = sentencepiece_vocabulary(folder, {}, files);
    set_roles(files, config, *vocabulary);
  }
  if (!vocabulary) return std::nullopt;
  vocabulary->chat_template = files.chat_template();
  if (vocabulary->chat_template.empty() && has("chat_template.jinja")) {
    vocabulary->chat_template = special_tokens::read_tokenizer_file(folder / "chat_template.jinja");
  }
  return vocabulary;
}

}  // namespace sgpt_mi::tokenizer
