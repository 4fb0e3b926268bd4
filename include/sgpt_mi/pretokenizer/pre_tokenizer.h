#pragma once

#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::pretokenizer {

/// A part of the text that merges never leave.
struct Piece {
  std::string_view text;
  bool at_text_start = false;  ///< whether it begins where the user's text begins
};

/// The pieces of one text, with the memory of those that a step has rewritten.
class Pieces {
 public:
  Pieces(std::string_view text, bool at_text_start) { list_.push_back({text, at_text_start}); }

  [[nodiscard]] const std::vector<Piece>& list() const { return list_; }
  void replace(std::vector<Piece> list) { list_ = std::move(list); }
  /// Stores a rewritten text for as long as this object lives.
  [[nodiscard]] std::string_view keep(std::string text) {
    return owned_.emplace_back(std::move(text));
  }

 private:
  std::vector<Piece> list_;
  std::deque<std::string> owned_;
};

/// One stage that splits pieces further. Thread-safe.
class SplitStep {
 public:
  virtual ~SplitStep() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

/// The `pre_tokenizer` member of tokenizer.json as a chain of steps.
struct PreTokenizer {
  std::vector<std::unique_ptr<SplitStep>> steps;
  bool byte_level = false;  ///< the model then works on bytes, not on characters
  bool in_letters = false;  ///< steps behind ByteLevel see its alphabet
};

/// Parses ByteLevel, Split, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit, Sequence;
/// null gives no steps. Steps behind ByteLevel split the text as written in its alphabet. Throws
/// Error(kInput) naming any other type, or ByteLevel or Metaspace behind ByteLevel.
[[nodiscard]] PreTokenizer parse_pre_tokenizer(const nlohmann::json& json);

}  // namespace sgpt_mi::pretokenizer
