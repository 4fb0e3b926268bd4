#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packed_record.h"
#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// NAME.scale or NAME.column_scale as binary16 patterns.
/// Throws Error(kInput) where one is not positive and finite.
[[nodiscard]] std::vector<std::uint16_t> read_scales(const PackedParts& parts, PackedPartKind kind);

/// The same as floats, times 2^exponent.
[[nodiscard]] std::vector<float> scales_as_floats(const PackedParts& parts, PackedPartKind kind,
                                                  int exponent);

/// Rounds a row of floats to the dense type.
void store_row(const std::vector<float>& values, DType dtype, std::vector<std::uint16_t>& rounded,
               std::byte* out);

}  // namespace sgpt_mi::packing
