#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sgpt_mi/special_tokens/added_tokens.h"
#include "sgpt_mi/special_tokens/special_token_files.h"

namespace sgpt_mi::special_tokens {

/// What a vocabulary has before anything is added to it.
struct BaseVocabulary {
  std::function<std::optional<std::int32_t>(const std::string&)> id_of;
  std::int64_t tokens = 0;    ///< how many there are
  std::int64_t id_count = 0;  ///< largest id plus one
};

/// The tokens that files add to a vocabulary, with their final ids: the one place that decides
/// them.
///
/// As in the `tokenizers` library (0.23, tokenizer/added_vocabulary.rs) a token of the base
/// vocabulary keeps its id, and a new one gets the next free id behind the base vocabulary, in the
/// order of adding; what a file says about a new token's id does not count. A token that comes
/// again keeps its id and gets the new switches.
///
/// One difference: in a base vocabulary with holes (more ids than tokens) the library counts tokens
/// and gives out ids that are taken; here the ids of the file hold.
class AddedVocabulary {
 public:
  explicit AddedVocabulary(BaseVocabulary base) : base_(std::move(base)) {}

  /// A token without text is left out.
  void add(AddedToken token);

  /// Says that a token is special, if there is one of this text.
  void mark_special(const std::string& content);

  /// The id of an added token or of one of the base vocabulary.
  [[nodiscard]] std::optional<std::int32_t> id_of(const std::string& content) const;
  [[nodiscard]] bool contains(const std::string& content) const;

  /// In the order of adding.
  [[nodiscard]] const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  [[nodiscard]] std::int32_t next_id(std::int32_t wanted) const;

  BaseVocabulary base_;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::size_t> place_;  ///< of each text in tokens_
  std::int32_t behind_ = 0;                             ///< largest id of an added token plus one
};

/// All added tokens of a tokenizer in AutoTokenizer's order: those `stored` with the vocabulary
/// itself (tokenizer.json's added_tokens), those that the files number, roles, extra tokens.
[[nodiscard]] AddedVocabulary gather_added_tokens(BaseVocabulary base,
                                                  const std::vector<AddedToken>& stored,
                                                  const SpecialTokenFiles& files,
                                                  const RoleDefaults& defaults);

}  // namespace sgpt_mi::special_tokens
