#pragma once

#include <string_view>
#include <unordered_set>
#include <vector>

namespace sgpt_mi::tokenizer {

/// Cuts a text into parts that sentencepiece encodes to the same ids as the whole.
///
/// sentencepiece is slow on long texts, and words come again. A text may be cut at a space when no
/// piece of the vocabulary has the character before it followed by a space: no merge can then reach
/// across. The space itself is dropped, because the part behind it gets it back as its dummy
/// prefix.
class SpaceCuts {
 public:
  /// `model`: a serialized ModelProto. Texts are not cut at all unless it is a BPE model that adds
  /// a dummy prefix and otherwise leaves characters as they are.
  explicit SpaceCuts(std::string_view model);

  /// The parts in order, none of them empty.
  [[nodiscard]] std::vector<std::string_view> parts(std::string_view text) const;

 private:
  void read_pieces(std::string_view model);

  bool enabled_ = false;
  std::unordered_set<char32_t> before_space_;  ///< characters that some piece has before a space
};

}  // namespace sgpt_mi::tokenizer
