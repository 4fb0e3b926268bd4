#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace sgpt_mi::pretokenizer {

/// One stage that rewrites a text before it is split. Thread-safe.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  [[nodiscard]] virtual std::string normalize(std::string text) const = 0;
};

/// The `normalizer` member of tokenizer.json: Prepend, Replace, NFC, NFD, NFKC, NFKD, Sequence;
/// null gives the identity. The Unicode forms follow utf8proc's tables: characters that are newer
/// than the reference's tables (Unicode 9) may be reordered where it leaves them. Throws
/// Error(kInput) naming any other type.
[[nodiscard]] std::unique_ptr<Normalizer> parse_normalizer(const nlohmann::json& json);

}  // namespace sgpt_mi::pretokenizer
