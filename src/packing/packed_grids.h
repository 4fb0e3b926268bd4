#pragma once

#include <cstdint>
#include <vector>

#include "packed_columns.h"
#include "packed_record.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// (grid rows, G) zero points, one byte each.
[[nodiscard]] std::vector<std::uint8_t> read_zero_points(const PackedParts& parts,
                                                         const PackedRecord& record,
                                                         const ColumnGroups& columns);

/// The grids of a matrix of codes as floats, and each column's.
class PackedGrids {
 public:
  PackedGrids(const PackedParts& parts, const PackedRecord& record, ColumnGroups columns);

  [[nodiscard]] bool shared() const { return shared_; }
  [[nodiscard]] const std::vector<float>& scales() const { return scale_; }
  [[nodiscard]] const std::vector<float>& zeros() const { return zero_; }

  /// Scale and zero point of each column in a row.
  void load_row(std::int64_t row, std::vector<float>& scale, std::vector<float>& zero) const;

 private:
  bool shared_;
  std::size_t groups_;
  std::vector<std::int32_t> group_of_column_;
  std::vector<float> scale_;  // (grid rows, G)
  std::vector<float> zero_;
};

}  // namespace sgpt_mi::packing
