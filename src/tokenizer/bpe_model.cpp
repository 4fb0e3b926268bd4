#include <algorithm>

#include "bpe.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/pretokenizer/byte_alphabet.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::tokenizer {
namespace {

std::int32_t id_of(const BpeDefinition& definition, const std::string& token, const char* role) {
  const auto found = definition.vocabulary.find(token);
  if (found == definition.vocabulary.end()) {
    fail(ErrorKind::kInput, "text: {} '{}' is not in the vocabulary; the tokenizer file is damaged",
         role, token);
  }
  return found->second;
}

}  // namespace

BpeModel::BpeModel(const BpeDefinition& definition)
    : fuse_unknown_(definition.fuse_unknown),
      byte_fallback_(definition.byte_fallback),
      ignore_merges_(definition.ignore_merges),
      byte_level_(definition.byte_level) {
  if (definition.vocabulary.empty()) {
    fail(ErrorKind::kInput, "text: the tokenizer's vocabulary is empty");
  }
  if (definition.unknown_token) {
    unknown_id_ = id_of(definition, *definition.unknown_token, "unknown token");
  }
  index_tokens(definition);
  index_merges(definition);
  index_byte_fallback(definition);
}

void BpeModel::index_tokens(const BpeDefinition& definition) {
  byte_ids_.fill(-1);
  for (const auto& [token, id] : definition.vocabulary) {
    id_count_ = std::max<std::int64_t>(id_count_, std::int64_t{id} + 1);
    const std::optional<std::string> written =
        byte_level_ ? pretokenizer::bytes_of_token(token) : std::optional(token);
    if (!written || written->empty()) continue;
    if (ignore_merges_) whole_pieces_.emplace(*written, id);
    if (byte_level_ && written->size() == 1) {
      byte_ids_[static_cast<unsigned char>(written->front())] = id;
    } else if (!byte_level_ && pretokenizer::first_character(*written).size() == written->size()) {
      character_ids_.emplace(pretokenizer::code_point(*written), id);
    }
  }
}

void BpeModel::index_merges(const BpeDefinition& definition) {
  merges_ = MergeTable(definition.merges.size());
  if (!byte_level_) joined_characters_ = MergeTable(definition.merges.size());
  std::uint32_t rank = 0;
  for (const auto& [left, right] : definition.merges) {
    if (left.empty() || right.empty()) {
      fail(ErrorKind::kInput, "text: merge {} has an empty part; the tokenizer file is damaged",
           rank);
    }
    const auto left_id = static_cast<std::uint32_t>(id_of(definition, left, "part of a merge"));
    const auto right_id = static_cast<std::uint32_t>(id_of(definition, right, "part of a merge"));
    const std::int32_t product = id_of(definition, left + right, "product of a merge");
    merges_.insert(left_id, right_id, {rank++, product});
    if (!byte_level_) {
      joined_characters_.insert(pretokenizer::code_point(pretokenizer::last_character(left)),
                                pretokenizer::code_point(pretokenizer::first_character(right)), {});
    }
  }
}

void BpeModel::index_byte_fallback(const BpeDefinition& definition) {
  fallback_ids_.fill(-1);
  for (std::size_t byte = 0; byte < fallback_ids_.size() && byte_fallback_; ++byte) {
    const auto found = definition.vocabulary.find(fmt::format("<0x{:02X}>", byte));
    if (found != definition.vocabulary.end()) fallback_ids_[byte] = found->second;
  }
}

std::int32_t BpeModel::character_id(std::string_view character) const {
  const auto found = character_ids_.find(pretokenizer::code_point(character));
  return found == character_ids_.end() ? -1 : found->second;
}

bool BpeModel::separable(std::string_view left, std::string_view right) const {
  if (character_id(left) < 0 || character_id(right) < 0) return false;
  return joined_characters_.find(pretokenizer::code_point(left), pretokenizer::code_point(right)) ==
         nullptr;
}

}  // namespace sgpt_mi::tokenizer
