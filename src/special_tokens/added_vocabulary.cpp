#include "sgpt_mi/special_tokens/added_vocabulary.h"

#include <algorithm>
#include <utility>

namespace sgpt_mi::special_tokens {

bool AddedVocabulary::contains(const std::string& content) const {
  return place_.contains(content);
}

std::optional<std::int32_t> AddedVocabulary::id_of(const std::string& content) const {
  const auto found = place_.find(content);
  return found == place_.end() ? base_.id_of(content) : tokens_[found->second].id;
}

std::int32_t AddedVocabulary::next_id(std::int32_t wanted) const {
  const bool holes = base_.id_count != base_.tokens;
  if (holes && wanted != kNoToken) return wanted;
  return std::max(static_cast<std::int32_t>(holes ? base_.id_count : base_.tokens), behind_);
}

void AddedVocabulary::add(AddedToken token) {
  if (token.content.empty()) return;
  const std::optional<std::int32_t> known = id_of(token.content);
  token.id = known ? *known : next_id(token.id);
  behind_ = std::max(behind_, token.id + 1);
  const auto [place, is_new] = place_.emplace(token.content, tokens_.size());
  if (is_new) {
    tokens_.push_back(std::move(token));
  } else {
    tokens_[place->second] = std::move(token);
  }
}

void AddedVocabulary::mark_special(const std::string& content) {
  const auto found = place_.find(content);
  if (found != place_.end()) tokens_[found->second].special = true;
}

AddedVocabulary gather_added_tokens(BaseVocabulary base, const std::vector<AddedToken>& stored,
                                    const SpecialTokenFiles& files, const RoleDefaults& defaults) {
  AddedVocabulary added(std::move(base));
  for (const AddedToken& token : stored) added.add(token);
  for (AddedToken& token : files.numbered_tokens()) {
    // What the vocabulary's own file says of an id goes before added_tokens.json.
    const bool again = !files.has_decoder() &&
                       std::any_of(stored.begin(), stored.end(),
                                   [&](const AddedToken& own) { return own.id == token.id; });
    if (!again) added.add(std::move(token));
  }
  for (AddedToken& token : files.role_tokens(defaults)) {
    token.special = true;
    if (added.contains(token.content)) {
      added.mark_special(token.content);
    } else {
      added.add(std::move(token));
    }
  }
  for (AddedToken& token : files.extra_tokens()) {
    if (!added.contains(token.content)) added.add(std::move(token));
  }
  return added;
}

}  // namespace sgpt_mi::special_tokens
