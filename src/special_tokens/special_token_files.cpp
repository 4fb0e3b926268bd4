#include "sgpt_mi/special_tokens/special_token_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/pretokenizer/json_members.h"
#include "sgpt_mi/special_tokens/tokenizer_file.h"

namespace sgpt_mi::special_tokens {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 7> kRoles = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
constexpr const char* kExtra = "extra_special_tokens";
constexpr const char* kAdditional = "additional_special_tokens";
constexpr const char* kDecoder = "added_tokens_decoder";

Json read_object(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return Json::object();
  Json json = Json::parse(read_tokenizer_file(path), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    fail(ErrorKind::kInput, "text: {} is not valid JSON; download the file again", path.string());
  }
  if (!json.is_object()) {
    fail(ErrorKind::kInput, "text: {} holds {}; expected an object", path.string(),
         json.type_name());
  }
  return json;
}

/// A member that is there and not null.
const Json* present(const Json& object, const std::string& name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool is_token(const Json& json) {
  return json.is_string() || (json.is_object() && json.contains("content"));
}

std::int32_t parse_id(const std::string& text) {
  const auto id = whole_number<std::int32_t>(text);
  if (!id || *id < 0) {
    fail(ErrorKind::kInput, "text: added_tokens_decoder has the id '{}'; expected a number", text);
  }
  return *id;
}

void sort_by_id(std::vector<AddedToken>& tokens) {
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

bool holds(const std::vector<AddedToken>& tokens, const std::string& content) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [&](const AddedToken& token) { return token.content == content; });
}

/// The tokens of a list; nothing of any other value.
void append_list(const Json* list, bool special, std::vector<AddedToken>& tokens) {
  if (list == nullptr || !list->is_array()) return;
  for (const Json& item : *list) {
    AddedToken token = parse_added_token(nlohmann::json(item), special);
    if (!holds(tokens, token.content)) tokens.push_back(std::move(token));
  }
}

}  // namespace

AddedToken parse_added_token(const nlohmann::json& json, bool special) {
  AddedToken token;
  if (json.is_string()) {
    token.content = json.get<std::string>();
    token.special = true;
    return token;
  }
  token.content = pretokenizer::string_member(json, "content");
  token.single_word = pretokenizer::bool_member(json, "single_word", false);
  token.lstrip = pretokenizer::bool_member(json, "lstrip", false);
  token.rstrip = pretokenizer::bool_member(json, "rstrip", false);
  token.special = pretokenizer::bool_member(json, "special", special);
  token.normalized = pretokenizer::bool_member(json, "normalized", !token.special);
  return token;
}

SpecialTokenFiles::SpecialTokenFiles(const std::filesystem::path& folder)
    : config_(read_object(folder / "tokenizer_config.json")),
      model_(read_object(folder / "config.json")) {
  if (has_decoder()) return;
  map_ = read_object(folder / "special_tokens_map.json");
  added_ = read_object(folder / "added_tokens.json");
}

const SpecialTokenFiles::Json* SpecialTokenFiles::find(const std::string& name) const {
  for (const Json* file : {&map_, &config_}) {
    const auto found = file->find(name);
    if (found != file->end()) return &*found;
  }
  return nullptr;
}

std::optional<std::string> SpecialTokenFiles::role(const std::string& name,
                                                   std::optional<std::string> otherwise) const {
  const Json* found = find(name);
  if (found == nullptr) return otherwise;
  if (found->is_null()) return std::nullopt;
  return parse_added_token(nlohmann::json(*found), true).content;
}

bool SpecialTokenFiles::flag(const char* name, bool otherwise) const {
  const Json* found = present(config_, name);
  if (found == nullptr) return otherwise;
  if (!found->is_boolean()) {
    fail(ErrorKind::kInput, "text: member '{}' of tokenizer_config.json is {}; expected a boolean",
         name, found->type_name());
  }
  return found->get<bool>();
}

std::string SpecialTokenFiles::tokenizer_class() const {
  for (const Json* file : {&config_, &model_}) {
    const Json* found = present(*file, "tokenizer_class");
    if (found == nullptr || !found->is_string()) continue;
    std::string name = found->get<std::string>();
    if (name.ends_with("Fast")) name.resize(name.size() - 4);
    return name;
  }
  return "";
}

std::string SpecialTokenFiles::model_type() const {
  const Json* found = present(model_, "model_type");
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

std::string SpecialTokenFiles::chat_template() const {
  const Json* found = present(config_, "chat_template");
  if (found == nullptr) return "";
  if (found->is_string()) return found->get<std::string>();
  for (const Json& item : *found) {
    const nlohmann::json named(item);
    if (pretokenizer::string_member(named, "name") != "default") continue;
    return pretokenizer::string_member(named, "template");
  }
  return "";
}

std::vector<AddedToken> SpecialTokenFiles::role_tokens(const RoleDefaults& defaults) const {
  std::vector<AddedToken> tokens;
  const auto append = [&](const Json* json) {
    if (json != nullptr && is_token(*json)) {
      tokens.push_back(parse_added_token(nlohmann::json(*json), true));
    }
  };
  for (const std::string_view role : kRoles) {
    const std::string name(role);
    const Json* found = find(name);
    append(found);
    const auto otherwise = std::find_if(defaults.begin(), defaults.end(),
                                        [&](const auto& row) { return row.first == name; });
    if (found == nullptr && otherwise != defaults.end()) {
      tokens.push_back({.content = otherwise->second, .special = true});
    }
  }
  for (const Json* file : {&config_, &map_}) {
    for (const auto& [name, json] : file->items()) {
      const bool known = std::find(kRoles.begin(), kRoles.end(), name) != kRoles.end();
      const bool again = file == &map_ && config_.contains(name);  // the map's has been taken
      if (!known && !again && name.ends_with("_token")) append(find(name));
    }
  }
  for (AddedToken& token : extra_objects()) tokens.push_back(std::move(token));
  return tokens;
}

std::vector<AddedToken> SpecialTokenFiles::extra_objects() const {
  std::vector<AddedToken> tokens;
  for (const Json* file : {&config_, &map_}) {
    const Json* named = present(*file, kExtra);
    if (named == nullptr || !named->is_object()) continue;
    for (const auto& [name, json] : named->items()) {
      tokens.push_back(parse_added_token(nlohmann::json(json), true));
    }
  }
  return tokens;
}

std::vector<AddedToken> SpecialTokenFiles::extra_tokens() const {
  std::vector<AddedToken> tokens;
  const Json* extra = present(config_, kExtra);
  const Json* list = extra == nullptr || extra->empty() ? present(config_, kAdditional) : extra;
  append_list(list, false, tokens);
  const Json* more = present(map_, kExtra);
  append_list(more, true, tokens);
  // Of the older name the map's is read only where the configuration has neither.
  if (list == nullptr && extra == nullptr && more == nullptr) {
    append_list(present(map_, kAdditional), true, tokens);
  }
  return tokens;
}

std::vector<AddedToken> SpecialTokenFiles::numbered_tokens() const {
  std::vector<AddedToken> tokens = has_decoder() ? decoder_tokens() : legacy_tokens();
  sort_by_id(tokens);
  return tokens;
}

std::vector<AddedToken> SpecialTokenFiles::decoder_tokens() const {
  std::vector<AddedToken> tokens;
  const Json* decoder = present(config_, kDecoder);
  if (decoder == nullptr) return tokens;
  for (const auto& [id, item] : decoder->items()) {
    tokens.push_back(parse_added_token(nlohmann::json(item), false));
    tokens.back().id = parse_id(id);
  }
  return tokens;
}

/// added_tokens.json has texts and ids alone: those with a role are special, others are looked for
/// in the normalized text.
std::vector<AddedToken> SpecialTokenFiles::legacy_tokens() const {
  const std::vector<AddedToken> extra = extra_tokens();
  std::vector<AddedToken> named = role_tokens({});
  named.insert(named.end(), extra.begin(), extra.end());
  std::vector<AddedToken> tokens;
  for (const auto& [content, id] : added_.items()) {
    AddedToken token{.content = content,
                     .id = pretokenizer::parse_token_id(nlohmann::json(id), content)};
    token.special = holds(named, content);
    token.normalized = !token.special;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace sgpt_mi::special_tokens
