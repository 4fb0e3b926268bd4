#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/special_tokens/added_tokens.h"

namespace sgpt_mi::special_tokens {

/// Roles that a kind of tokenizer fills when no file does: ("bos_token", "<s>"), ...
using RoleDefaults = std::vector<std::pair<std::string, std::string>>;

/// A token as tokenizer.json and tokenizer_config.json write it: its text, or an object with
/// switches. A text is special; of an object `special` says it where the object does not.
[[nodiscard]] AddedToken parse_added_token(const nlohmann::json& json, bool special);

/// What the JSON files beside a vocabulary say about special tokens, by the rules of transformers'
/// AutoTokenizer (5.24, tokenization_utils_base.py, _from_pretrained): where tokenizer_config.json
/// has added_tokens_decoder, special_tokens_map.json and added_tokens.json are not read; otherwise
/// the map goes before the configuration.
class SpecialTokenFiles {
 public:
  /// No files at all.
  SpecialTokenFiles() = default;
  /// Reads tokenizer_config.json, special_tokens_map.json, added_tokens.json and, for the kind of
  /// the model, config.json, where they exist. Throws Error(kInput) naming the file.
  explicit SpecialTokenFiles(const std::filesystem::path& folder);
  /// The same from one parsed tokenizer_config.json.
  explicit SpecialTokenFiles(const nlohmann::json& config) : config_(config) {}

  /// The text of a role ("bos_token", ...); `otherwise` when no file speaks of it, nothing when one
  /// says null.
  [[nodiscard]] std::optional<std::string> role(const std::string& name,
                                                std::optional<std::string> otherwise) const;

  /// A switch of tokenizer_config.json.
  [[nodiscard]] bool flag(const char* name, bool otherwise) const;

  /// The class that is named for the tokenizer, without "Fast", and the model's type; empty: none.
  [[nodiscard]] std::string tokenizer_class() const;
  [[nodiscard]] std::string model_type() const;

  /// The chat template of tokenizer_config.json, of several the one named "default"; empty: none.
  [[nodiscard]] std::string chat_template() const;

  /// The tokens of all roles: bos, eos, unk, sep, pad, cls, mask, then every other member that ends
  /// in "_token" and those of an extra_special_tokens object. Without ids.
  [[nodiscard]] std::vector<AddedToken> role_tokens(const RoleDefaults& defaults) const;

  /// The tokens of extra_special_tokens or additional_special_tokens as lists. Without ids.
  [[nodiscard]] std::vector<AddedToken> extra_tokens() const;

  /// The tokens of added_tokens_decoder, else of added_tokens.json, by rising id.
  [[nodiscard]] std::vector<AddedToken> numbered_tokens() const;

  /// Whether numbered_tokens() are those of added_tokens_decoder.
  [[nodiscard]] bool has_decoder() const { return config_.contains("added_tokens_decoder"); }

 private:
  using Json = nlohmann::ordered_json;  // tokens without ids are numbered in the order of the file

  [[nodiscard]] const Json* find(const std::string& name) const;
  [[nodiscard]] std::vector<AddedToken> extra_objects() const;
  [[nodiscard]] std::vector<AddedToken> decoder_tokens() const;
  [[nodiscard]] std::vector<AddedToken> legacy_tokens() const;

  Json config_ = Json::object();
  Json map_ = Json::object();
  Json added_ = Json::object();
  Json model_ = Json::object();
};

}  // namespace sgpt_mi::special_tokens
