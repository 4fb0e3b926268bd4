#include "packed_grids.h"

#include <algorithm>
#include <utility>

#include "packed_rows.h"
#include "packed_values.h"

namespace sgpt_mi::packing {

std::vector<std::uint8_t> read_zero_points(const PackedParts& parts, const PackedRecord& record,
                                           const ColumnGroups& columns) {
  PackedRecord grids;  // a dense matrix of grid rows x G codes
  grids.rows = record.grid_rows;
  grids.columns = record.groups;
  const PackedRows rows(parts, grids, stream_order(columns.bits_of_group), serial_for());
  const PackedCodes codes(parts, PackedPartKind::kZeroPoint, rows, record.grid_rows);
  PackedCodes::Scratch scratch(record.groups);
  std::vector<std::uint8_t> zeros(static_cast<std::size_t>(record.grid_rows * record.groups));
  for (std::int64_t row = 0; row < record.grid_rows; ++row) {
    codes.read_row(row, scratch, zeros.data() + row * record.groups);
  }
  return zeros;
}

PackedGrids::PackedGrids(const PackedParts& parts, const PackedRecord& record, ColumnGroups columns)
    : shared_(record.grid_rows == 1),
      groups_(static_cast<std::size_t>(record.groups)),
      group_of_column_(std::move(columns.group_of_column)) {
  const std::vector<std::uint8_t> zeros =
      read_zero_points(parts, record, {{}, columns.bits_of_group});
  zero_.assign(zeros.begin(), zeros.end());
  scale_ = scales_as_floats(parts, PackedPartKind::kScale, record.scale_exponent);
}

void PackedGrids::load_row(std::int64_t row, std::vector<float>& scale,
                           std::vector<float>& zero) const {
  const std::size_t first = shared_ ? 0 : static_cast<std::size_t>(row) * groups_;
  if (groups_ == 1) {
    std::fill(scale.begin(), scale.end(), scale_[first]);
    std::fill(zero.begin(), zero.end(), zero_[first]);
    return;
  }
  const float* scales = scale_.data() + first;
  const float* zeros = zero_.data() + first;
  for (std::size_t j = 0; j < group_of_column_.size(); ++j) {
    const auto group = static_cast<std::size_t>(group_of_column_[j]);
    scale[j] = scales[group];
    zero[j] = zeros[group];
  }
}

}  // namespace sgpt_mi::packing
