#include "frequency_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sgpt_mi::entropy {
namespace {

constexpr double kWordBits = 16.0;
constexpr int kMostBits = 4;  // stored behind a frequency's leading 1

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

/// The bits of a frequency behind its leading 1 that are stored.
int stored_bits(int width) { return std::clamp(width - 1, 0, kMostBits); }

/// A frequency with as many bits as are stored, next to a number (or not above it), at least 1.
std::uint32_t rounded(double number, bool nearest) {
  const int width = std::max(1, 1 + std::ilogb(std::max(1.0, number)));
  const double step = std::exp2(width - 1 - stored_bits(width));
  const double steps = nearest ? std::nearbyint(number / step) : std::floor(number / step);
  return static_cast<std::uint32_t>(std::max(1.0, steps * step));
}

/// Frequencies in proportion to the counts, at least 1 where there is one.
FrequencyTable in_proportion(const Histogram& counts) {
  FrequencyTable table;
  double total = 0.0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count);
  table.rest =
      static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  const auto share = [&](std::size_t i) {
    return static_cast<double>(counts[i]) / std::max(1.0, total) * kernels::kSlots;
  };
  // Where rounding to the nearest leaves the most frequent symbol too little, there are many
  // symbols about as frequent, and rounding down costs less.
  for (const bool nearest : {true, false}) {
    double left = kernels::kSlots;
    for (std::size_t i = 0; i < kSymbols; ++i) {
      if (counts[i] == 0 || i == table.rest) continue;
      table.frequency[i] = static_cast<std::uint16_t>(rounded(share(i), nearest));
      left -= table.frequency[i];
    }
    table.frequency[table.rest] = static_cast<std::uint16_t>(std::max(1.0, left));
    if (left >= 0.75 * share(table.rest)) return table;
  }
  return table;
}

/// Calls visit(frequency, code of the change of its width) for the frequencies that are stored.
template <typename Visit>
void for_stored(const FrequencyTable& table, SymbolRange range, const Visit& visit) {
  int before = 0;
  const auto next = [&](std::size_t symbol) {
    if (symbol == table.rest) return;
    const int width = std::bit_width(table.frequency[symbol]);
    const int change = width - before;
    before = width;
    visit(table.frequency[symbol],
          static_cast<std::uint32_t>(change >= 0 ? 2 * change : -2 * change - 1) + 1);
  };
  next(0);
  for (std::size_t i = range.begin; i < range.end; ++i) next(i);
}

double table_bits(const FrequencyTable& table) {
  double bits = 24.0;
  for_stored(table, range_of(table.frequency, 1), [&](std::uint16_t frequency, std::uint32_t code) {
    bits += 2.0 * std::bit_width(code) - 1.0 + stored_bits(std::bit_width(frequency));
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

FrequencyTable fit_table(const Histogram& histogram, std::uint64_t most_least) {
  FrequencyTable best;
  double best_bits = std::numeric_limits<double>::infinity();
  SymbolRange before{0, 0};
  for (std::uint64_t least = 1; least <= most_least && before != SymbolRange{}; least *= 2) {
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
  out.put(static_cast<std::uint32_t>(table.rest == 0 ? 0 : table.rest - range.begin + 1), 8);
  for_stored(table, range, [&](std::uint16_t frequency, std::uint32_t code) {
    const int width = std::bit_width(frequency);
    out.put_gamma(code);
    out.put(static_cast<std::uint32_t>(frequency) >> (std::max(1, width) - 1 - stored_bits(width)),
            stored_bits(width));
  });
}

bool take_table(BitReader& bits, FrequencyTable& table) {
  table = {};
  const std::size_t begin = bits.take(8) + 1;
  const std::size_t end = begin + bits.take(8);
  const std::size_t rest = bits.take(8);
  table.rest = rest == 0 ? 0 : begin + rest - 1;
  if (end > kSymbols || table.rest >= end) return false;
  int width = 0;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < end; i = i == 0 ? begin : i + 1) {
    if (i == table.rest) continue;
    const std::uint32_t code = bits.take_gamma();
    const auto half = static_cast<int>(code / 2);
    width += code % 2 == 1 ? half : -half;
    if (code == 0 || width < 0 || width > kernels::kFrequencyBits) return false;
    if (width == 0) continue;
    const int stored = stored_bits(width);
    const std::uint32_t leading = 1U << stored | bits.take(stored);
    table.frequency[i] = static_cast<std::uint16_t>(leading << (width - 1 - stored));
    sum += table.frequency[i];
  }
  if (sum >= kernels::kSlots) return false;
  table.frequency[table.rest] = static_cast<std::uint16_t>(kernels::kSlots - sum);
  return true;
}

}  // namespace sgpt_mi::entropy
