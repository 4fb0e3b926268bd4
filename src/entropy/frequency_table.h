#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "bit_stream.h"
#include "sgpt_mi/kernels/decode_levels.h"

namespace sgpt_mi::entropy {

/// Index 0 is the escape, index i the symbol i + kernels::kEscape.
inline constexpr std::size_t kSymbols = 256;
using Histogram = std::array<std::uint64_t, kSymbols>;

/// The index of a level.
[[nodiscard]] constexpr std::size_t symbol_index(std::int16_t level) {
  const int index = level - kernels::kEscape;
  return index > 0 && index < static_cast<int>(kSymbols) ? static_cast<std::size_t>(index) : 0;
}

/// Frequencies that add up to kernels::kSlots. All but that of the symbol `rest`, which has what
/// the others leave, have 1 to 5 significant bits.
struct FrequencyTable {
  std::array<std::uint16_t, kSymbols> frequency{};
  std::size_t rest = 0;
};

/// The table that codes levels with this histogram in the fewest bits, its own included; index 0
/// counts the levels that no symbol stands for.
/// \param most_least  symbols that occur this often are never escaped; 1: none is.
[[nodiscard]] FrequencyTable fit_table(
    const Histogram& histogram,
    std::uint64_t most_least = std::numeric_limits<std::uint64_t>::max());

/// Bits of the table and of what it codes, escaped levels included.
[[nodiscard]] double coded_bits(const FrequencyTable& table, const Histogram& histogram);

void put_table(const FrequencyTable& table, BitWriter& out);

/// False where the bits are no table: a wrong sum, symbols or frequencies out of range.
[[nodiscard]] bool take_table(BitReader& bits, FrequencyTable& table);

}  // namespace sgpt_mi::entropy
