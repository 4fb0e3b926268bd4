#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "added_tokens.h"

namespace sgpt_mi::tokenizer {

/// What the JSON files beside a vocabulary say about special tokens.
class SpecialTokenFiles {
 public:
  /// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json where they exist.
  explicit SpecialTokenFiles(const std::filesystem::path& folder);
  /// The same from one parsed tokenizer_config.json.
  explicit SpecialTokenFiles(nlohmann::json config) : config_(std::move(config)) {}

  /// The text of a role ("bos_token", ...): special_tokens_map.json decides, then
  /// tokenizer_config.json, then `otherwise`.
  [[nodiscard]] std::optional<std::string> role(const char* name,
                                                std::optional<std::string> otherwise) const;

  /// A switch of tokenizer_config.json.
  [[nodiscard]] bool flag(const char* name, bool otherwise) const;

  /// The chat template of tokenizer_config.json, of several the one named "default"; empty: none.
  [[nodiscard]] std::string chat_template() const;

  /// The tokens of all named roles (bos, eos, unk, sep, pad, cls, mask, additional_special_tokens),
  /// without ids.
  [[nodiscard]] std::vector<AddedToken> role_tokens() const;

  /// The tokens of added_tokens_decoder and added_tokens.json, with their ids.
  [[nodiscard]] std::vector<AddedToken> numbered_tokens() const;

 private:
  [[nodiscard]] const nlohmann::json* find_role(const char* name) const;

  nlohmann::json config_;
  nlohmann::json map_;
  nlohmann::json added_;
};

}  // namespace sgpt_mi::tokenizer
