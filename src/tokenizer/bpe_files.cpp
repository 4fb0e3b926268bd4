// BPE tokenizers from the files that Hugging Face folders have: tokenizer.json, or vocab.json and
// merges.txt.

#include <algorithm>
#include <string_view>
#include <utility>

#include "bpe_tokenizer.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "special_tokens.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

// --- tokenizer.json

/// A merge is "a b" in older files and ["a", "b"] in newer ones.
std::pair<std::string, std::string> parse_merge(const nlohmann::json& json) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  }
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  fail(ErrorKind::kInput, "text: merge {}; expected \"a b\" or [\"a\", \"b\"]", json.dump());
}

void refuse_unless_empty(const nlohmann::json& model, const char* name) {
  const auto found = model.find(name);
  const bool empty = found == model.end() || found->is_null() || *found == "" ||
                     (found->is_number() && *found == 0.0);
  if (!empty) {
    fail(ErrorKind::kInput, "text: {} {} of the BPE model is not supported", name, found->dump());
  }
}

BpeDefinition parse_model(const nlohmann::json& json, bool byte_level) {
  if (json.is_object() && json.contains("type") &&
      pretokenizer::string_member(json, "type") != "BPE") {
    fail(ErrorKind::kInput, "text: model '{}' is not supported; expected BPE",
         pretokenizer::string_member(json, "type"));
  }
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    refuse_unless_empty(json, name);
  }
  BpeDefinition model;
  model.vocabulary = pretokenizer::parse_vocabulary(pretokenizer::member(json, "vocab"));
  for (const nlohmann::json& merge : pretokenizer::member(json, "merges")) {
    model.merges.push_back(parse_merge(merge));
  }
  if (json.contains("unk_token") && !json.at("unk_token").is_null()) {
    model.unknown_token = pretokenizer::string_member(json, "unk_token");
  }
  model.fuse_unknown = pretokenizer::bool_member(json, "fuse_unk", false);
  model.byte_fallback = pretokenizer::bool_member(json, "byte_fallback", false);
  model.ignore_merges = pretokenizer::bool_member(json, "ignore_merges", false);
  model.byte_level = byte_level;
  if (byte_level && model.byte_fallback) {
    fail(ErrorKind::kInput, "text: byte_fallback together with ByteLevel is not supported");
  }
  return model;
}

std::vector<AddedToken> parse_added_tokens(const nlohmann::json& json, const BpeDefinition& model) {
  std::vector<AddedToken> tokens;
  if (!json.contains("added_tokens") || json.at("added_tokens").is_null()) return tokens;
  for (const nlohmann::json& item : json.at("added_tokens")) {
    AddedToken token;
    token.content = pretokenizer::string_member(item, "content");
    token.id = pretokenizer::parse_token_id(pretokenizer::member(item, "id"), token.content);
    token.single_word = pretokenizer::bool_member(item, "single_word", false);
    token.lstrip = pretokenizer::bool_member(item, "lstrip", false);
    token.rstrip = pretokenizer::bool_member(item, "rstrip", false);
    token.special = pretokenizer::bool_member(item, "special", false);
    token.normalized = pretokenizer::bool_member(item, "normalized", !token.special);
    const auto known = model.vocabulary.find(token.content);
    if (known != model.vocabulary.end() && known->second != token.id) {
      fail(ErrorKind::kInput, "text: added token '{}' has id {}, but {} in the vocabulary",
           token.content, token.id, known->second);
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

const nlohmann::json& optional_member(const nlohmann::json& json, const char* name) {
  static const nlohmann::json kNull;
  const auto found = json.find(name);
  return found == json.end() ? kNull : *found;
}

// --- vocab.json and merges.txt

constexpr const char* kGpt2EndOfText = "<|endoftext|>";

std::vector<std::pair<std::string, std::string>> parse_merges(std::string_view text,
                                                              const std::string& file) {
  std::vector<std::pair<std::string, std::string>> merges;
  std::size_t line_number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      fail(ErrorKind::kInput,
           "text: {} line {}: '{}'; expected two tokens and a space between them", file,
           line_number, line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

std::int32_t id_of(const BpeDefinition& model, const std::string& token) {
  const auto found = model.vocabulary.find(token);
  if (found == model.vocabulary.end()) {
    fail(ErrorKind::kInput, "text: special token '{}' is not in vocab.json; add it there", token);
  }
  return found->second;
}

}  // namespace

BpeStages stages_from_json(const nlohmann::json& json) {
  BpeStages stages;
  const nlohmann::json& model = pretokenizer::member(json, "model");
  stages.normalizer = pretokenizer::parse_normalizer(optional_member(json, "normalizer"));
  stages.pre_tokenizer = pretokenizer::parse_pre_tokenizer(optional_member(json, "pre_tokenizer"));
  stages.frame = parse_post_processor(optional_member(json, "post_processor"));
  stages.model = parse_model(model, stages.pre_tokenizer.byte_level);
  stages.added_tokens = parse_added_tokens(json, stages.model);
  return stages;
}

std::unique_ptr<Tokenizer> tokenizer_from_json(const nlohmann::json& json) {
  return std::make_unique<BpeTokenizer>(stages_from_json(json));
}

BpeStages stages_from_vocab_and_merges(const std::filesystem::path& folder) {
  const std::filesystem::path vocab = folder / "vocab.json";
  const std::filesystem::path merges = folder / "merges.txt";
  const SpecialTokenFiles special(folder);

  BpeStages stages;
  stages.normalizer = pretokenizer::parse_normalizer(nullptr);
  stages.pre_tokenizer = pretokenizer::parse_pre_tokenizer(
      {{"type", "ByteLevel"}, {"add_prefix_space", special.flag("add_prefix_space", false)}});
  stages.model.vocabulary = pretokenizer::parse_vocabulary(
      pretokenizer::parse_json(documents::read_text_file(vocab), vocab.string()));
  stages.model.merges = parse_merges(documents::read_text_file(merges), merges.string());
  stages.model.byte_level = true;

  stages.added_tokens = special.numbered_tokens();
  for (AddedToken& token : special.role_tokens()) {
    token.id = id_of(stages.model, token.content);
    stages.added_tokens.push_back(std::move(token));
  }
  const auto bos = special.role("bos_token", kGpt2EndOfText);
  if (stages.added_tokens.empty() && stages.model.vocabulary.contains(*bos)) {
    stages.added_tokens.push_back({.content = *bos, .id = id_of(stages.model, *bos)});
  }
  if (special.flag("add_bos_token", false)) {
    stages.frame.before.push_back(id_of(stages.model, *bos));
  }
  return stages;
}

std::unique_ptr<Tokenizer> tokenizer_from_vocab_and_merges(const std::filesystem::path& folder) {
  return std::make_unique<BpeTokenizer>(stages_from_vocab_and_merges(folder));
}

}  // namespace sgpt_mi::tokenizer
