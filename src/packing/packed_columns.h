#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "packed_record.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// Columns of one width: one bit stream.
struct WidthRun {
  int width = 0;
  std::int64_t begin = 0;  ///< places in StreamOrder::column
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t columns() const { return end - begin; }
};

/// The columns of a matrix as its bit streams take them: by width, then in natural order.
struct StreamOrder {
  std::vector<std::int32_t> column;  ///< natural column at each place; empty: 0, 1, 2 ...
  std::vector<WidthRun> runs;        ///< ascending widths, none empty
};

/// \param width_of_column  2 .. 8 each.
[[nodiscard]] StreamOrder stream_order(std::span<const int> width_of_column);

/// All columns in natural order, as one run: for matrices that are not quantized.
[[nodiscard]] StreamOrder natural_order(std::int64_t columns);

/// The width of each column.
[[nodiscard]] std::vector<int> column_widths(std::span<const std::int32_t> group_of_column,
                                             std::span<const int> bits_of_group);

/// The bit stream of the columns' labels; empty for one group.
[[nodiscard]] std::vector<std::byte> pack_labels(std::span<const std::int32_t> labels,
                                                 std::int64_t groups);

/// The bit stream of the groups' widths.
[[nodiscard]] std::vector<std::byte> pack_widths(std::span<const int> bits_of_group);

/// Which grid each column has, and how wide each grid's codes are (none in layout 3).
struct ColumnGroups {
  std::vector<std::int32_t> group_of_column;
  std::vector<int> bits_of_group;
};

/// Reads NAME.group and NAME.bits, or what the record says in their place.
/// Throws Error(kInput) for labels and widths out of range and unused bits that are not 0.
[[nodiscard]] ColumnGroups read_column_groups(const PackedParts& parts, const PackedRecord& record);

/// Throws Error(kInput) unless the bits of a part from `used_bits` on, to the end of its byte, are
/// 0.
void check_padding(const PackedParts& parts, PackedPartKind kind, std::int64_t used_bits);

}  // namespace sgpt_mi::packing
