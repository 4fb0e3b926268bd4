#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sgpt_mi::special_tokens {

constexpr std::int32_t kNoToken = -1;

/// A token that is recognised in the text itself, outside the model's merges.
struct AddedToken {
  std::string content;
  std::int32_t id = kNoToken;  ///< as its file says; kNoToken: the file names no id
  bool single_word = false;    ///< only between characters that are not part of a word
  bool lstrip = false;         ///< takes the white space before it along
  bool rstrip = false;         ///< takes the white space after it along
  bool normalized = false;     ///< looked for in the normalized text instead of the user's
  bool special = false;        ///< means something to the model that no text can say
};

/// A stretch of text, or an added token found in it.
struct Segment {
  std::string_view text;
  std::int32_t token = kNoToken;
};

/// Finds added tokens: of all that begin at the leftmost possible place the longest wins, and the
/// search goes on behind it (the `tokenizers` library, tokenizer/added_vocabulary.rs).
class AddedTokenMatcher {
 public:
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  /// The text in order, cut at the tokens; no stretch is empty.
  [[nodiscard]] std::vector<Segment> split(std::string_view text) const;

 private:
  [[nodiscard]] const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;                ///< by first byte, then longest first
  std::array<std::size_t, 257> first_of_byte_{};  ///< tokens that begin with byte b: [b, b + 1)
};

}  // namespace sgpt_mi::special_tokens
