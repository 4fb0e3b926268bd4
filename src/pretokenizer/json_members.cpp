#include "sgpt_mi/pretokenizer/json_members.h"

#include <limits>
#include <string_view>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::pretokenizer {

const nlohmann::json& member(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) {
    fail(ErrorKind::kInput, "text: found {}; expected an object with the member '{}'",
         object.type_name(), name);
  }
  const auto found = object.find(name);
  if (found == object.end()) {
    fail(ErrorKind::kInput, "text: the tokenizer file has no member '{}' where one is needed",
         name);
  }
  return *found;
}

std::string string_member(const nlohmann::json& object, const char* name) {
  const nlohmann::json& value = member(object, name);
  if (!value.is_string()) {
    fail(ErrorKind::kInput, "text: member '{}' is {}; expected a string", name, value.type_name());
  }
  return value.get<std::string>();
}

std::int32_t parse_token_id(const nlohmann::json& value, const std::string& token) {
  const bool valid = value.is_number_integer() && value.get<double>() >= 0 &&
                     value.get<double>() < std::numeric_limits<std::int32_t>::max();
  if (!valid) {
    fail(ErrorKind::kInput, "text: token '{}' has id {}; expected a number from 0 below 2^31",
         token, value.dump());
  }
  return value.get<std::int32_t>();
}

bool bool_member(const nlohmann::json& object, const char* name, bool otherwise) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) {
    fail(ErrorKind::kInput, "text: member '{}' is {}; expected true or false", name,
         found->type_name());
  }
  return found->get<bool>();
}

Regex parse_pattern(const nlohmann::json& json) {
  if (json.is_object() && json.contains("String")) {
    return Regex::literal(string_member(json, "String"));
  }
  return Regex(pcre_from_oniguruma(string_member(json, "Regex")));
}

std::unordered_map<std::string, std::int32_t> parse_vocabulary(const nlohmann::json& json) {
  if (!json.is_object()) {
    fail(ErrorKind::kInput, "text: the vocabulary is {}; expected an object", json.type_name());
  }
  std::unordered_map<std::string, std::int32_t> vocabulary;
  vocabulary.reserve(json.size());
  for (const auto& [token, id] : json.items()) {
    vocabulary.emplace(token, parse_token_id(id, token));
  }
  return vocabulary;
}

void rethrow_from(const std::string& where, const Error& error) {
  constexpr std::string_view kRoom = "text: ";
  std::string_view message = error.what();
  if (message.starts_with(kRoom)) message.remove_prefix(kRoom.size());
  fail(error.kind(), "{}{}: {}", kRoom, where, message);
}

nlohmann::json parse_json(const std::string& text, const std::string& name) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    fail(ErrorKind::kInput, "text: {} is not valid JSON; download the file again", name);
  }
  return json;
}

}  // namespace sgpt_mi::pretokenizer
