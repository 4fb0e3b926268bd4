#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bit_stream.h"
#include "frequency_table.h"

namespace sgpt_mi::entropy {

inline constexpr int kLabels = 16;

/// Whether some label is not 0.
[[nodiscard]] bool has_labels(std::span<const std::uint8_t> labels);

/// An estimate of the bits that put_labels() writes; 0 where no label is above 0.
[[nodiscard]] double label_bits(std::span<const std::uint8_t> labels);

/// Writes a table of the labels, and the labels as one lane of it.
void put_labels(std::span<const std::uint8_t> labels, BitWriter& out);

/// False where the bits are no labels: a wrong table, labels out of range, a wrong last state.
[[nodiscard]] bool take_labels(BitReader& bits, std::span<std::uint8_t> labels);

/// Every slot of a table, appended.
void append_slots(const FrequencyTable& table, std::vector<std::uint32_t>& slots);

}  // namespace sgpt_mi::entropy
