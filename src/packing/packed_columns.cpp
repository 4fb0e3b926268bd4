#include "packed_columns.h"

#include <algorithm>
#include <cstring>

#include "sgpt_mi/kernels/pack_bits.h"

namespace sgpt_mi::packing {
namespace {

constexpr int kMinWidth = 2;
constexpr int kMaxWidth = 8;

/// `bits` (at most 31) bits of a stream from bit `at` on, one by one: labels are few.
std::int64_t bits_at(std::span<const std::byte> stream, std::int64_t at, int bits) {
  std::int64_t value = 0;
  for (int i = 0; i < bits; ++i) {
    const auto byte = std::to_integer<unsigned>(stream[static_cast<std::size_t>((at + i) / 8)]);
    value |= static_cast<std::int64_t>(byte >> ((at + i) % 8) & 1U) << i;
  }
  return value;
}

std::vector<std::int32_t> read_labels(const PackedParts& parts, const PackedRecord& record) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(record.columns));
  if (record.run_length != 0) {
    for (std::size_t j = 0; j < labels.size(); ++j) {
      labels[j] = static_cast<std::int32_t>(static_cast<std::int64_t>(j) / record.run_length);
    }
    return labels;
  }
  const std::span<const std::byte> stream = parts.at(PackedPartKind::kGroup)->bytes;
  const int bits = label_bits(record.groups);
  for (std::int64_t j = 0; j < record.columns; ++j) {
    const std::int64_t label = bits_at(stream, j * bits, bits);
    if (label >= record.groups) {
      refuse_packed(parts, "part {}.group puts column {} into group {}; there are {} groups",
                    parts.name, j, label, record.groups);
    }
    labels[static_cast<std::size_t>(j)] = static_cast<std::int32_t>(label);
  }
  check_padding(parts, PackedPartKind::kGroup, record.columns * bits);
  return labels;
}

std::vector<int> read_widths(const PackedParts& parts, const PackedRecord& record) {
  if (record.coded()) return {};
  std::vector<int> widths(static_cast<std::size_t>(record.groups), record.width);
  if (record.width != 0) return widths;
  const std::span<const std::byte> stream = parts.at(PackedPartKind::kBits)->bytes;
  std::vector<std::uint8_t> numbers(widths.size());
  kernels::unpack_bits(reinterpret_cast<const std::uint8_t*>(stream.data()), 0, record.groups,
                       kGroupWidthBits, numbers.data());
  for (std::size_t group = 0; group < widths.size(); ++group) {
    widths[group] = numbers[group] + 1;
    if (widths[group] < kMinWidth) {
      refuse_packed(parts, "part {}.bits gives group {} {} bit; {} to {} were expected", parts.name,
                    group, widths[group], kMinWidth, kMaxWidth);
    }
  }
  check_padding(parts, PackedPartKind::kBits, record.groups * kGroupWidthBits);
  return widths;
}

}  // namespace

StreamOrder stream_order(std::span<const int> width_of_column) {
  StreamOrder order;
  order.column.reserve(width_of_column.size());
  for (int width = kMinWidth; width <= kMaxWidth; ++width) {
    const auto begin = static_cast<std::int64_t>(order.column.size());
    for (std::size_t j = 0; j < width_of_column.size(); ++j) {
      if (width_of_column[j] == width) order.column.push_back(static_cast<std::int32_t>(j));
    }
    const auto end = static_cast<std::int64_t>(order.column.size());
    if (end > begin) order.runs.push_back({width, begin, end});
  }
  return order;
}

StreamOrder natural_order(std::int64_t columns) { return {{}, {{0, 0, columns}}}; }

std::vector<int> column_widths(std::span<const std::int32_t> group_of_column,
                               std::span<const int> bits_of_group) {
  std::vector<int> widths(group_of_column.size());
  for (std::size_t j = 0; j < widths.size(); ++j) {
    widths[j] = bits_of_group[static_cast<std::size_t>(group_of_column[j])];
  }
  return widths;
}

std::vector<std::byte> pack_labels(std::span<const std::int32_t> labels, std::int64_t groups) {
  const auto bits = static_cast<std::size_t>(label_bits(groups));
  std::vector<std::byte> stream((labels.size() * bits + 7) / 8);
  for (std::size_t i = 0; i < labels.size() * bits; ++i) {
    const auto label = static_cast<std::uint32_t>(labels[i / bits]);
    stream[i / 8] |= static_cast<std::byte>((label >> i % bits & 1U) << i % 8);
  }
  return stream;
}

std::vector<std::byte> pack_widths(std::span<const int> bits_of_group) {
  std::vector<std::uint8_t> numbers(bits_of_group.size());
  for (std::size_t group = 0; group < numbers.size(); ++group) {
    numbers[group] = static_cast<std::uint8_t>(bits_of_group[group] - 1);
  }
  const auto groups = static_cast<std::int64_t>(numbers.size());
  std::vector<std::byte> stream(
      static_cast<std::size_t>(kernels::packed_bytes(groups, kGroupWidthBits)));
  kernels::pack_bits(numbers.data(), groups, kGroupWidthBits,
                     reinterpret_cast<std::uint8_t*>(stream.data()));
  return stream;
}

ColumnGroups read_column_groups(const PackedParts& parts, const PackedRecord& record) {
  return {read_labels(parts, record), read_widths(parts, record)};
}

void check_padding(const PackedParts& parts, PackedPartKind kind, std::int64_t used_bits) {
  if (used_bits % 8 == 0) return;
  const std::span<const std::byte> bytes = parts.at(kind)->bytes;
  const std::byte last = bytes[static_cast<std::size_t>(used_bits / 8)];
  if (std::to_integer<unsigned>(last) >> (used_bits % 8) != 0) {
    refuse_packed(parts, "part {}{} has bits set after its end; 0 was expected", parts.name,
                  packed_suffix(kind));
  }
}

}  // namespace sgpt_mi::packing
