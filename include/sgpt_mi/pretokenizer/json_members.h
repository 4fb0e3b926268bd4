#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/regex.h"

// Members of the JSON files that describe tokenizers. All of these throw Error(kInput) naming the
// member when it is missing or of another type.
namespace sgpt_mi::pretokenizer {

[[nodiscard]] const nlohmann::json& member(const nlohmann::json& object, const char* name);
[[nodiscard]] std::string string_member(const nlohmann::json& object, const char* name);

/// The id of a token; the error names the token.
[[nodiscard]] std::int32_t parse_token_id(const nlohmann::json& value, const std::string& token);

/// A member that may be missing or null: then `otherwise`.
[[nodiscard]] bool bool_member(const nlohmann::json& object, const char* name, bool otherwise);

/// {"String": s}: exactly s; {"Regex": r}: an Oniguruma pattern.
[[nodiscard]] Regex parse_pattern(const nlohmann::json& json);

/// {token: id}, as in vocab.json and in the BPE model of tokenizer.json.
[[nodiscard]] std::unordered_map<std::string, std::int32_t> parse_vocabulary(
    const nlohmann::json& json);

/// Throws the error again with the file or member that it came from in front.
[[noreturn]] void rethrow_from(const std::string& where, const Error& error);

/// What `read()` gives; an Error that it throws says where.
template <typename Read>
auto reading(const std::string& where, Read read) -> decltype(read()) {
  try {
    return read();
  } catch (const Error& error) {
    rethrow_from(where, error);
  }
}

/// Parses a JSON text; `name` says in the error where it came from.
[[nodiscard]] nlohmann::json parse_json(const std::string& text, const std::string& name);

}  // namespace sgpt_mi::pretokenizer
