#include "special_tokens.h"

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/pretokenizer/json_members.h"

namespace sgpt_mi::tokenizer {
namespace {

constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

nlohmann::json read_object(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return nlohmann::json::object();
  nlohmann::json json = pretokenizer::parse_json(documents::read_text_file(path), path.string());
  if (!json.is_object()) {
    fail(ErrorKind::kInput, "text: {} holds {}; expected an object", path.string(),
         json.type_name());
  }
  return json;
}

/// A token is written as its text or as an object with flags.
AddedToken parse_token(const nlohmann::json& json) {
  AddedToken token;
  if (json.is_string()) {
    token.content = json.get<std::string>();
    return token;
  }
  token.content = pretokenizer::string_member(json, "content");
  token.single_word = pretokenizer::bool_member(json, "single_word", false);
  token.lstrip = pretokenizer::bool_member(json, "lstrip", false);
  token.rstrip = pretokenizer::bool_member(json, "rstrip", false);
  token.special = pretokenizer::bool_member(json, "special", false);
  return token;
}

std::int32_t parse_id(const std::string& text) {
  const auto id = whole_number<std::int32_t>(text);
  if (!id || *id < 0) {
    fail(ErrorKind::kInput, "text: added_tokens_decoder has the id '{}'; expected a number", text);
  }
  return *id;
}

}  // namespace

SpecialTokenFiles::SpecialTokenFiles(const std::filesystem::path& folder)
    : config_(read_object(folder / "tokenizer_config.json")),
      map_(read_object(folder / "special_tokens_map.json")),
      added_(read_object(folder / "added_tokens.json")) {}

const nlohmann::json* SpecialTokenFiles::find_role(const char* name) const {
  for (const nlohmann::json* file : {&map_, &config_}) {
    const auto found = file->find(name);
    if (found != file->end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

std::optional<std::string> SpecialTokenFiles::role(const char* name,
                                                   std::optional<std::string> otherwise) const {
  const nlohmann::json* found = find_role(name);
  return found == nullptr ? std::move(otherwise) : parse_token(*found).content;
}

bool SpecialTokenFiles::flag(const char* name, bool otherwise) const {
  return pretokenizer::bool_member(config_, name, otherwise);
}

std::vector<AddedToken> SpecialTokenFiles::role_tokens() const {
  std::vector<AddedToken> tokens;
  for (const char* name : kRoles) {
    if (const nlohmann::json* found = find_role(name)) tokens.push_back(parse_token(*found));
  }
  if (const nlohmann::json* found = find_role("additional_special_tokens")) {
    for (const nlohmann::json& item : *found) tokens.push_back(parse_token(item));
  }
  return tokens;
}

std::string SpecialTokenFiles::chat_template() const {
  const auto found = config_.find("chat_template");
  if (found == config_.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  for (const nlohmann::json& named : *found) {
    if (pretokenizer::string_member(named, "name") != "default") continue;
    return pretokenizer::string_member(named, "template");
  }
  return "";
}

std::vector<AddedToken> SpecialTokenFiles::numbered_tokens() const {
  std::vector<AddedToken> tokens;
  const auto decoder = config_.find("added_tokens_decoder");
  if (decoder != config_.end()) {
    for (const auto& [id, item] : decoder->items()) {
      tokens.push_back(parse_token(item));
      tokens.back().id = parse_id(id);
    }
  }
  for (const auto& [content, id] : added_.items()) {
    tokens.push_back({.content = content, .id = pretokenizer::parse_token_id(id, content)});
  }
  return tokens;
}

}  // namespace sgpt_mi::tokenizer
