#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "merge_table.h"
#include "piece_cache.h"

namespace sgpt_mi::tokenizer {

/// A byte-pair encoding as its files describe it.
struct BpeDefinition {
  std::unordered_map<std::string, std::int32_t> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  ///< best first
  std::optional<std::string> unknown_token = std::nullopt;
  bool fuse_unknown = false;   ///< a run of unknown characters gives one unknown token
  bool byte_fallback = false;  ///< a character outside the vocabulary becomes its <0xNN> tokens
  bool ignore_merges = false;  ///< a piece found in the vocabulary is taken at once
  bool byte_level = false;     ///< tokens are written in GPT-2's byte alphabet
};

/// Byte-pair encoding (Sennrich et al. 2016): of all neighbouring symbols that some merge joins,
/// the pair with the best merge, leftmost among equals, is joined, until none is left.
///
/// A piece of n symbols costs O(n log n). The rules for characters outside the vocabulary are those
/// of the `tokenizers` library, models/bpe/model.rs. Immutable; encoding state is in BpeEncoder.
class BpeModel {
 public:
  /// Throws Error(kInput) naming a merge or an unknown token that the vocabulary lacks.
  explicit BpeModel(const BpeDefinition& definition);

  /// Largest id plus one.
  [[nodiscard]] std::int64_t id_count() const { return id_count_; }

 private:
  friend class BpeEncoder;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  void index_tokens(const BpeDefinition& definition);
  void index_merges(const BpeDefinition& definition);
  void index_byte_fallback(const BpeDefinition& definition);
  [[nodiscard]] std::int32_t character_id(std::string_view character) const;
  [[nodiscard]] bool separable(std::string_view left, std::string_view right) const;

  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> whole_pieces_;
  std::array<std::int32_t, 256> byte_ids_{};                  ///< byte-level: id of each byte
  std::unordered_map<char32_t, std::int32_t> character_ids_;  ///< else: id of each character
  std::array<std::int32_t, 256> fallback_ids_{};              ///< ids of <0x00> to <0xFF>
  MergeTable merges_;
  /// Pairs of characters (last of a left part, first of a right part) that some merge joins.
  MergeTable joined_characters_;
  std::int32_t unknown_id_ = -1;
  std::int64_t id_count_ = 0;
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
  bool byte_level_ = false;
};

/// Encodes the pieces of one text; remembers pieces it has seen. One thread at a time.
class BpeEncoder {
 public:
  /// Appends to `ids`. `text_bytes` is about how much text will come: it sets the cache's size.
  BpeEncoder(const BpeModel& model, std::size_t text_bytes, std::vector<std::int32_t>& ids);

  void encode(std::string_view piece);
  /// Appends a token that is known already.
  void append(std::int32_t id) { ids_.push_back(id); }

 private:
  struct Symbol {
    std::int32_t id;
    std::int32_t previous;
    std::int32_t next;
  };
  void encode_remembered(std::string_view piece);
  void encode_afresh(std::string_view piece);
  void add_bytes(std::string_view piece);
  void add_characters(std::string_view piece);
  bool add_fallback_bytes(std::string_view character);
  void add_symbol(std::int32_t id);
  void merge_all();
  void offer(std::int32_t left);

  const BpeModel& model_;
  std::vector<std::int32_t>& ids_;
  PieceCache cache_;
  std::vector<Symbol> symbols_;        ///< of the piece at hand, a linked list in an array
  std::vector<std::uint64_t> offers_;  ///< heap of possible merges: rank << 32 | position
};

}  // namespace sgpt_mi::tokenizer
