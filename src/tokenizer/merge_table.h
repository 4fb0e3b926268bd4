#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sgpt_mi::tokenizer {

/// What a merge gives.
struct Merge {
  std::uint32_t rank = 0;    ///< its place in the list of merges: lower goes first
  std::int32_t product = 0;  ///< id of the joined token
};

/// Map from a pair of 32-bit numbers to a merge: open addressing, linear probing. A text takes
/// millions of look-ups, most of them misses, which end at the first free slot.
class MergeTable {
 public:
  MergeTable() : MergeTable(0) {}

  /// A table for at most `pairs` pairs; it is at most half full.
  explicit MergeTable(std::size_t pairs) {
    std::size_t slots = 16;
    while (slots < 2 * pairs) {
      slots *= 2;
      --shift_;
    }
    slots_.resize(slots);
  }

  void insert(std::uint32_t left, std::uint32_t right, Merge merge) {
    Slot& slot = slots_[slot_of(key_of(left, right))];
    slot = {key_of(left, right), merge};
  }

  /// The merge of a pair, or nullptr.
  [[nodiscard]] const Merge* find(std::uint32_t left, std::uint32_t right) const {
    const Slot& slot = slots_[slot_of(key_of(left, right))];
    return slot.key == kFree ? nullptr : &slot.merge;
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kFree;
    Merge merge;
  };

  static std::uint64_t key_of(std::uint32_t left, std::uint32_t right) {
    return (std::uint64_t{left} << 32) | right;
  }

  /// The slot that holds the key, or the free slot where it belongs.
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const {
    // Fibonacci hashing: the golden ratio spreads neighbouring ids over the upper bits.
    auto i = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> shift_);
    while (slots_[i].key != key && slots_[i].key != kFree) i = (i + 1) & (slots_.size() - 1);
    return i;
  }

  std::vector<Slot> slots_;
  int shift_ = 60;  ///< 64 minus the logarithm of the number of slots
};

}  // namespace sgpt_mi::tokenizer
