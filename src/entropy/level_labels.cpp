#include "level_labels.h"

#include <algorithm>

#include "lane_writer.h"

namespace sgpt_mi::entropy {
namespace {

Histogram histogram_of(std::span<const std::uint8_t> labels) {
  Histogram histogram{};
  for (const std::uint8_t label : labels) ++histogram[symbol_index(label)];
  return histogram;
}

}  // namespace

bool has_labels(std::span<const std::uint8_t> labels) {
  return std::any_of(labels.begin(), labels.end(), [](std::uint8_t label) { return label != 0; });
}

double label_bits(std::span<const std::uint8_t> labels) {
  if (!has_labels(labels)) return 0.0;
  const Histogram histogram = histogram_of(labels);
  return 32.0 + coded_bits(fit_table(histogram), histogram);
}

void put_labels(std::span<const std::uint8_t> labels, BitWriter& out) {
  const FrequencyTable table = fit_table(histogram_of(labels), 1);
  const SymbolSlots slots = symbol_slots(table);
  LaneWriter lane;
  for (std::size_t i = labels.size(); i-- > 0;) lane.put(labels[i], slots);
  put_table(table, out);
  lane.put_to(out);
}

bool take_labels(BitReader& bits, std::span<std::uint8_t> labels) {
  FrequencyTable table;
  if (!take_table(bits, table)) return false;
  std::vector<std::uint32_t> slots;
  append_slots(table, slots);
  std::uint32_t state = bits.take(32);
  for (std::uint8_t& label : labels) {
    const std::uint32_t slot = slots[state & (kernels::kSlots - 1)];
    state = kernels::state_behind(state, slot);
    if (state < kernels::kLowestState) state = state << 16 | bits.take(16);
    const int symbol = kernels::symbol_of(slot);
    if (symbol < 0 || symbol >= kLabels || bits.overrun()) return false;
    label = static_cast<std::uint8_t>(symbol);
  }
  return state == kernels::kLowestState;
}

void append_slots(const FrequencyTable& table, std::vector<std::uint32_t>& slots) {
  for (std::size_t i = 0; i < kSymbols; ++i) {
    const std::uint32_t frequency = table.frequency[i];
    for (std::uint32_t place = 0; place < frequency; ++place) {
      slots.push_back(
          kernels::level_slot(static_cast<int>(i) + kernels::kEscape, frequency, place));
    }
  }
}

}  // namespace sgpt_mi::entropy
