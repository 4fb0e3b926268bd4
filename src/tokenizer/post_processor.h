#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace sgpt_mi::tokenizer {

/// Special tokens that one call of the tokenizer puts around a text.
struct SpecialFrame {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;

  /// The id in front of everything, if there is one.
  [[nodiscard]] std::optional<std::int32_t> bos() const {
    return before.empty() ? std::nullopt : std::optional(before.front());
  }
};

/// The `post_processor` member of tokenizer.json: TemplateProcessing (its `single` form), ByteLevel
/// (which moves offsets only), Sequence; null gives nothing. Throws Error(kInput) naming any other.
[[nodiscard]] SpecialFrame parse_post_processor(const nlohmann::json& json);

}  // namespace sgpt_mi::tokenizer
