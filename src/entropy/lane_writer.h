#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bit_stream.h"
#include "frequency_table.h"
#include "sgpt_mi/kernels/decode_levels.h"

namespace sgpt_mi::entropy {

/// A symbol's slots.
struct Slots {
  std::uint32_t first = 0;
  std::uint32_t count = 0;  ///< 0: the symbol is escaped
};

using SymbolSlots = std::array<Slots, kSymbols>;

inline SymbolSlots symbol_slots(const FrequencyTable& table) {
  SymbolSlots slots;
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < kSymbols; ++i) {
    slots[i] = {first, table.frequency[i]};
    first += table.frequency[i];
  }
  return slots;
}

/// A lane that is written from its last level to its first.
class LaneWriter {
 public:
  void put(std::int16_t level, const SymbolSlots& symbols) {
    const Slots* slots = &symbols[symbol_index(level)];
    if (slots->count == 0 || slots == symbols.data()) {
      slots = symbols.data();
      escapes_.push_back(static_cast<std::uint16_t>(level));
    }
    if (state_ >> (32 - kernels::kFrequencyBits) >= slots->count) {
      words_.push_back(static_cast<std::uint16_t>(state_));
      state_ >>= 16;
    }
    state_ =
        (state_ / slots->count << kernels::kFrequencyBits) + state_ % slots->count + slots->first;
  }

  /// State and words of a lane without escapes.
  void put_to(BitWriter& out) const {
    out.put(state_, 32);
    for (std::size_t i = words_.size(); i-- > 0;) out.put(words_[i], 16);
  }

  [[nodiscard]] std::size_t words() const { return words_.size() + escapes_.size(); }

  /// State, words and escapes in the order in which they are read.
  void append_to(std::vector<std::byte>& out) const {
    append(static_cast<std::uint16_t>(state_), out);
    append(static_cast<std::uint16_t>(state_ >> 16), out);
    for (std::size_t i = words_.size(); i-- > 0;) append(words_[i], out);
    for (const std::uint16_t escape : escapes_) append(escape, out);
  }

 private:
  static void append(std::uint16_t word, std::vector<std::byte>& out) {
    out.push_back(static_cast<std::byte>(word & 0xffU));
    out.push_back(static_cast<std::byte>(word >> 8));
  }

  std::uint32_t state_ = kernels::kLowestState;
  std::vector<std::uint16_t> words_;
  std::vector<std::uint16_t> escapes_;
};

}  // namespace sgpt_mi::entropy
