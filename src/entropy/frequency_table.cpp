#include "frequency_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sgpt_mi::entropy {
namespace {

constexpr double kWordBits = 16.0;

/// The symbols of a table beside the escape: indices begin .. end - 1.
struct SymbolRange {
  std::size_t begin = 1;
  std::size_t end = 1;

  bool operator==(const SymbolRange&) const = default;
};

template <typename Counts>
SymbolRange range_of(const Counts& counts, std::uint64_t least) {
  SymbolRange range;
  for (std::size_t i = 1; i < kSymbols; ++i) {
    if (counts[i] < least) continue;
    if (range.begin == range.end) range.begin = i;
    range.end = i + 1;
  }
  return range;
}

/// The histogram when symbols outside the range are escaped.
Histogram escaped_outside(const Histogram& histogram, SymbolRange range) {
  Histogram result{};
  result[0] = histogram[0];
  for (std::size_t i = 1; i < kSymbols; ++i) {
    result[i >= range.begin && i < range.end ? i : 0] += histogram[i];
  }
  return result;
}

/// Adds `step` (1 or -1) to the frequency where it costs least, or gains most.
void adjust(const Histogram& counts, int step, FrequencyTable& table) {
  std::size_t best = 0;
  double best_gain = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < kSymbols; ++i) {
    const int frequency = table.frequency[i];
    if (counts[i] == 0 || frequency + step < 1) continue;
    // The change of count * log2(frequency), up to a factor.
    const double gain = step * static_cast<double>(counts[i]) / (frequency + 0.5 * step);
    if (gain <= best_gain) continue;
    best = i;
    best_gain = gain;
  }
  table.frequency[best] = static_cast<std::uint16_t>(table.frequency[best] + step);
}

/// Frequencies in proportion to the counts, at least 1 where there is one.
FrequencyTable in_proportion(const Histogram& counts) {
  FrequencyTable table;
  double total = 0.0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count);
  if (total == 0.0) {
    table.frequency[0] = kernels::kSlots;
    return table;
  }
  int left = kernels::kSlots;
  for (std::size_t i = 0; i < kSymbols; ++i) {
    if (counts[i] == 0) continue;
    const double share = static_cast<double>(counts[i]) / total * kernels::kSlots;
    table.frequency[i] = static_cast<std::uint16_t>(std::max(1.0, std::nearbyint(share)));
    left -= table.frequency[i];
  }
  for (; left > 0; --left) adjust(counts, 1, table);
  for (; left < 0; ++left) adjust(counts, -1, table);
  return table;
}

/// Calls visit(frequency, change of its bits) for the frequencies that are stored.
template <typename Visit>
void for_stored(const FrequencyTable& table, SymbolRange range, const Visit& visit) {
  int before = 0;
  const auto next = [&](std::uint16_t frequency) {
    const int bits = std::bit_width(frequency);
    const int change = bits - before;
    before = bits;
    visit(frequency, static_cast<std::uint32_t>(change >= 0 ? 2 * change : -2 * change - 1) + 1);
  };
  next(table.frequency[0]);
  for (std::size_t i = range.begin; i < range.end; ++i) next(table.frequency[i]);
}

double table_bits(const FrequencyTable& table) {
  double bits = 16.0;
  for_stored(table, range_of(table.frequency, 1), [&](std::uint16_t frequency, std::uint32_t code) {
    bits += 2.0 * std::bit_width(code) - 1.0 + std::max(0, std::bit_width(frequency) - 1);
  });
  return bits;
}

}  // namespace

double coded_bits(const FrequencyTable& table, const Histogram& histogram) {
  double bits = table_bits(table);
  std::uint64_t escaped = 0;
  for (std::size_t i = 0; i < kSymbols; ++i) {
    if (histogram[i] == 0) continue;
    if (i == 0 || table.frequency[i] == 0) {
      escaped += histogram[i];
    } else {
      bits += static_cast<double>(histogram[i]) *
              (kernels::kFrequencyBits - std::log2(static_cast<double>(table.frequency[i])));
    }
  }
  if (escaped == 0) return bits;
  return bits + static_cast<double>(escaped) * (kWordBits + kernels::kFrequencyBits -
                                                std::log2(std::max(1, +table.frequency[0])));
}

FrequencyTable fit_table(const Histogram& histogram) {
  FrequencyTable best;
  double best_bits = std::numeric_limits<double>::infinity();
  SymbolRange before{0, 0};
  for (std::uint64_t least = 1; before != SymbolRange{}; least *= 2) {
    const SymbolRange range = range_of(histogram, least);
    if (range == before) continue;
    before = range;
    const FrequencyTable table = in_proportion(escaped_outside(histogram, range));
    const double bits = coded_bits(table, histogram);
    if (bits >= best_bits) continue;
    best = table;
    best_bits = bits;
  }
  return best;
}

void put_table(const FrequencyTable& table, BitWriter& out) {
  const SymbolRange range = range_of(table.frequency, 1);
  out.put(static_cast<std::uint32_t>(range.begin - 1), 8);
  out.put(static_cast<std::uint32_t>(range.end - range.begin), 8);
  for_stored(table, range, [&](std::uint16_t frequency, std::uint32_t code) {
    out.put_gamma(code);
    out.put(frequency, std::max(0, std::bit_width(frequency) - 1));
  });
}

bool take_table(BitReader& bits, FrequencyTable& table) {
  table = {};
  const std::size_t begin = bits.take(8) + 1;
  const std::size_t end = begin + bits.take(8);
  if (end > kSymbols) return false;
  int width = 0;
  std::uint32_t sum = 0;
  const auto take = [&](std::uint16_t& frequency) {
    const std::uint32_t code = bits.take_gamma();
    if (code == 0 || code > 27) return false;
    const auto half = static_cast<int>(code / 2);
    width += code % 2 == 1 ? half : -half;
    if (width < 0 || width > kernels::kFrequencyBits + 1) return false;
    if (width > 0) {
      frequency = static_cast<std::uint16_t>(1U << (width - 1) | bits.take(width - 1));
    }
    sum += frequency;
    return true;
  };
  if (!take(table.frequency[0])) return false;
  for (std::size_t i = begin; i < end; ++i) {
    if (!take(table.frequency[i])) return false;
  }
  return sum == kernels::kSlots;
}

}  // namespace sgpt_mi::entropy
