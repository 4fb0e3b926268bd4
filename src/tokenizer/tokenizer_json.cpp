#include <algorithm>
#include <utility>

#include "bpe_tokenizer.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/special_tokens/added_vocabulary.h"
#include "sgpt_mi/special_tokens/tokenizer_file.h"
#include "tokenizer_files.h"

namespace sgpt_mi::tokenizer {
namespace {

using special_tokens::AddedToken;

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

std::vector<AddedToken> parse_added_tokens(const nlohmann::json& json) {
  std::vector<AddedToken> tokens;
  if (json.is_null()) return tokens;
  for (const nlohmann::json& item : json) {
    AddedToken token = special_tokens::parse_added_token(item, false);
    token.id = pretokenizer::parse_token_id(pretokenizer::member(item, "id"), token.content);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

const nlohmann::json& optional_member(const nlohmann::json& json, const char* name) {
  static const nlohmann::json kNull;
  const auto found = json.find(name);
  return found == json.end() ? kNull : *found;
}

/// Sets "add_prefix_space" of every ByteLevel among the steps of a pre-tokenizer.
void set_prefix_space(nlohmann::json& step, bool wanted) {
  if (!step.is_object()) return;
  if (step.value("type", nlohmann::json()) == "ByteLevel") step["add_prefix_space"] = wanted;
  const auto steps = step.find("pretokenizers");
  if (steps == step.end() || !steps->is_array()) return;
  for (nlohmann::json& inner : *steps) set_prefix_space(inner, wanted);
}

}  // namespace

nlohmann::json read_tokenizer_json(const std::filesystem::path& folder,
                                   const SpecialTokenFiles& files) {
  const std::filesystem::path path = folder / "tokenizer.json";
  nlohmann::json json =
      pretokenizer::parse_json(special_tokens::read_tokenizer_file(path), path.string());
  if (byte_level_class(files) != ByteLevelClass::kNone && json.contains("pre_tokenizer")) {
    set_prefix_space(json["pre_tokenizer"], files.flag("add_prefix_space", false));
  }
  return json;
}

special_tokens::BaseVocabulary base_vocabulary(const BpeDefinition& model) {
  special_tokens::BaseVocabulary base;
  base.id_of = [&model](const std::string& token) {
    const auto found = model.vocabulary.find(token);
    return found == model.vocabulary.end() ? std::nullopt : std::optional(found->second);
  };
  base.tokens = static_cast<std::int64_t>(model.vocabulary.size());
  for (const auto& [token, id] : model.vocabulary) {
    base.id_count = std::max<std::int64_t>(base.id_count, std::int64_t{id} + 1);
  }
  return base;
}

BpeStages stages_from_json(const nlohmann::json& json, const SpecialTokenFiles& files) {
  using pretokenizer::reading;
  const auto stage = [&](const char* name) -> const nlohmann::json& {
    return optional_member(json, name);
  };
  BpeStages stages;
  const nlohmann::json& model = pretokenizer::member(json, "model");
  stages.normalizer =
      reading("normalizer", [&] { return pretokenizer::parse_normalizer(stage("normalizer")); });
  stages.pre_tokenizer = reading(
      "pre_tokenizer", [&] { return pretokenizer::parse_pre_tokenizer(stage("pre_tokenizer")); });
  stages.frame =
      reading("post_processor", [&] { return parse_post_processor(stage("post_processor")); });
  stages.model =
      reading("model", [&] { return parse_model(model, stages.pre_tokenizer.byte_level); });
  const std::vector<AddedToken> stored =
      reading("added_tokens", [&] { return parse_added_tokens(stage("added_tokens")); });
  stages.added_tokens =
      special_tokens::gather_added_tokens(base_vocabulary(stages.model), stored, files, {})
          .tokens();
  stages.split_special = files.flag("split_special_tokens", false);
  return stages;
}

std::unique_ptr<Tokenizer> tokenizer_from_json(const nlohmann::json& json,
                                               const SpecialTokenFiles& files) {
  return std::make_unique<BpeTokenizer>(stages_from_json(json, files));
}

}  // namespace sgpt_mi::tokenizer
