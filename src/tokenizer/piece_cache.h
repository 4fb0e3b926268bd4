#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace sgpt_mi::tokenizer {

/// Remembers the ids of the pieces of one text: most words of a text come again.
///
/// Ids are not stored twice: an entry says where in the growing list of ids the piece's tokens are.
/// Direct-mapped, so its size is fixed: a newer piece replaces an older one. One thread at a time.
class PieceCache {
 public:
  /// `text_bytes` is about how much text will come; `ids` is the list that grows.
  PieceCache(std::size_t text_bytes, std::vector<std::int32_t>& ids)
      : ids_(ids), entries_(std::bit_ceil(std::min(kMostEntries, text_bytes / 4 + 16))) {}

  /// Appends the ids of a piece: those remembered, else what `encode(piece)` appends.
  template <typename Encode>
  void append(std::string_view piece, Encode encode) {
    if (piece.size() > kLongestPiece) return encode(piece);
    Entry& entry = entries_[std::hash<std::string_view>()(piece) & (entries_.size() - 1)];
    const std::size_t begin = ids_.size();
    if (entry.piece() == piece) {
      ids_.resize(begin + entry.count);
      std::copy_n(ids_.data() + entry.begin, entry.count, ids_.data() + begin);
      return;
    }
    encode(piece);
    std::copy(piece.begin(), piece.end(), entry.bytes.begin());
    entry.size = static_cast<std::uint8_t>(piece.size());
    entry.begin = begin;
    entry.count = ids_.size() - begin;
  }

 private:
  static constexpr std::size_t kMostEntries = std::size_t{1} << 16;
  /// Longer pieces hardly ever come twice.
  static constexpr std::size_t kLongestPiece = 31;

  struct Entry {
    std::array<char, kLongestPiece> bytes;
    std::uint8_t size = 0;
    std::size_t begin = 0;
    std::size_t count = 0;

    [[nodiscard]] std::string_view piece() const { return {bytes.data(), size}; }
  };

  std::vector<std::int32_t>& ids_;
  std::vector<Entry> entries_;
};

}  // namespace sgpt_mi::tokenizer
