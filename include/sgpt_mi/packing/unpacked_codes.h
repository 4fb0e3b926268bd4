#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// A CodedMatrix with memory of its own: what a file holds of a matrix, without its codes' packing.
struct UnpackedCodes {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kF32;
  std::vector<std::uint8_t> codes;   ///< (rows, columns)
  std::vector<std::uint8_t> pruned;  ///< (rows, columns); empty: nothing is pruned
  int prune_n = 0;
  int prune_m = 0;
  std::int64_t grid_rows = 0;
  std::vector<std::uint16_t> scale;  ///< (grid_rows, G) binary16 patterns
  int scale_exponent = 0;
  std::vector<std::uint8_t> zero_point;  ///< (grid_rows, G)
  std::vector<std::int32_t> group_of_column;
  std::vector<int> bits_of_group;
  std::vector<std::int16_t> levels;         ///< (rows, columns), instead of codes
  std::vector<std::uint16_t> column_scale;  ///< (columns) binary16 patterns, with levels; or empty
  int column_exponent = 0;

  /// Of this object's memory. Whether it is symmetric follows from the zero points.
  [[nodiscard]] CodedMatrix view() const;

  /// Gives the same scales (of rows, not of columns) another exponent. False where a scale is no
  /// positive float16 then; the scales are of no use in that case.
  [[nodiscard]] bool set_exponent(int exponent);
};

/// The codes, mask and grids of a quantized matrix, or its levels and scales where it is
/// entropy-coded, checked as unpack_matrix() checks.
/// \throws Error(kInput) as unpack_matrix; Error(kInternal) a matrix that is not quantized.
[[nodiscard]] UnpackedCodes unpack_codes(const PackedParts& parts,
                                         const ParallelFor& parallel_for = serial_for());

}  // namespace sgpt_mi::packing
