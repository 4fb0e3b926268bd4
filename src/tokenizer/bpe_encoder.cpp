#include <algorithm>
#include <functional>

#include "bpe.h"
#include "sgpt_mi/pretokenizer/utf8.h"

namespace sgpt_mi::tokenizer {
BpeEncoder::BpeEncoder(const BpeModel& model, std::size_t text_bytes,
                       std::vector<std::int32_t>& ids)
    : model_(model), ids_(ids), cache_(text_bytes, ids) {}

void BpeEncoder::encode(std::string_view piece) {
  if (model_.ignore_merges_) {
    const auto whole = model_.whole_pieces_.find(piece);
    if (whole != model_.whole_pieces_.end()) return ids_.push_back(whole->second);
  }
  if (model_.byte_level_) return encode_remembered(piece);
  // Cut where no merge can reach across: the parts give the same tokens as the whole, and without a
  // pre-tokenizer the whole text is one piece. A character outside the vocabulary stays with its
  // neighbours, because runs of them may be fused.
  std::size_t begin = 0;
  std::string_view left;
  for (std::size_t at = 0; at < piece.size();) {
    const std::string_view right = piece.substr(at, pretokenizer::character_size(piece[at]));
    if (at > begin && model_.separable(left, right)) {
      encode_remembered(piece.substr(begin, at - begin));
      begin = at;
    }
    left = right;
    at += right.size();
  }
  if (begin < piece.size()) encode_remembered(piece.substr(begin));
}

void BpeEncoder::encode_remembered(std::string_view piece) {
  cache_.append(piece, [this](std::string_view missing) { encode_afresh(missing); });
}

void BpeEncoder::encode_afresh(std::string_view piece) {
  symbols_.clear();
  if (model_.byte_level_) {
    add_bytes(piece);
  } else {
    add_characters(piece);
  }
  if (symbols_.empty()) return;
  symbols_.back().next = -1;
  merge_all();
  for (std::int32_t i = 0; i >= 0; i = symbols_[static_cast<std::size_t>(i)].next) {
    ids_.push_back(symbols_[static_cast<std::size_t>(i)].id);
  }
}

void BpeEncoder::add_symbol(std::int32_t id) {
  const auto position = static_cast<std::int32_t>(symbols_.size());
  symbols_.push_back({id, position - 1, position + 1});
}

void BpeEncoder::add_bytes(std::string_view piece) {
  for (const char c : piece) {
    const std::int32_t id = model_.byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) {
      add_symbol(id);
    } else if (model_.unknown_id_ >= 0) {
      add_symbol(model_.unknown_id_);
    }
  }
}

void BpeEncoder::add_characters(std::string_view piece) {
  // As in the reference, an unknown token is written when the next known character (or the next
  // unknown one, unless they are fused) comes, and bytes from the fallback do not count as known.
  bool unknown_waits = false;
  const auto write_waiting = [&] {
    if (unknown_waits) add_symbol(model_.unknown_id_);
    unknown_waits = false;
  };
  for (std::size_t at = 0; at < piece.size();) {
    const std::string_view character = piece.substr(at, pretokenizer::character_size(piece[at]));
    at += character.size();
    const std::int32_t id = model_.character_id(character);
    if (id >= 0) {
      write_waiting();
      add_symbol(id);
    } else if (!add_fallback_bytes(character) && model_.unknown_id_ >= 0) {
      if (!model_.fuse_unknown_) write_waiting();
      unknown_waits = true;
    }
  }
  write_waiting();
}

bool BpeEncoder::add_fallback_bytes(std::string_view character) {
  const auto fallback_id = [&](char c) {
    return model_.fallback_ids_[static_cast<unsigned char>(c)];
  };
  const bool complete =
      std::all_of(character.begin(), character.end(), [&](char c) { return fallback_id(c) >= 0; });
  if (!complete) return false;
  for (const char c : character) add_symbol(fallback_id(c));
  return true;
}

void BpeEncoder::offer(std::int32_t left) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(left)];
  if (symbol.next < 0) return;
  const Symbol& right = symbols_[static_cast<std::size_t>(symbol.next)];
  const Merge* merge = model_.merges_.find(static_cast<std::uint32_t>(symbol.id),
                                           static_cast<std::uint32_t>(right.id));
  if (merge == nullptr) return;
  offers_.push_back((std::uint64_t{merge->rank} << 32) | static_cast<std::uint32_t>(left));
  std::push_heap(offers_.begin(), offers_.end(), std::greater<>());
}

void BpeEncoder::merge_all() {
  offers_.clear();
  for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) offer(static_cast<std::int32_t>(i));
  while (!offers_.empty()) {
    const std::uint64_t best = offers_.front();
    std::pop_heap(offers_.begin(), offers_.end(), std::greater<>());
    offers_.pop_back();
    const auto position = static_cast<std::int32_t>(best & 0xFFFFFFFFU);
    Symbol& left = symbols_[static_cast<std::size_t>(position)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
    // An offer is out of date when either symbol has been merged meanwhile.
    const Merge* merge = model_.merges_.find(static_cast<std::uint32_t>(left.id),
                                             static_cast<std::uint32_t>(right.id));
    if (merge == nullptr || merge->rank != static_cast<std::uint32_t>(best >> 32)) continue;
    left.id = merge->product;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = position;
    if (left.previous >= 0) offer(left.previous);
    offer(position);
  }
}

}  // namespace sgpt_mi::tokenizer
