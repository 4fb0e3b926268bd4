#pragma once

#include <cstddef>
#include <vector>

#include "packed_record.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/entropy/coded_levels.h"
#include "sgpt_mi/packing/packed_matrix.h"
#include "sgpt_mi/packing/packed_streams.h"
#include "sgpt_mi/packing/unpacked_codes.h"

namespace sgpt_mi::packing {

/// The parts of a matrix in layout 3 that hold its levels.
[[nodiscard]] entropy::CodedView coded_view(const PackedParts& parts);

/// read_packed_contents() of layout 3.
[[nodiscard]] PackedLevels packed_levels(const PackedParts& parts, const PackedRecord& record);

/// unpack_matrix() and unpack_codes() of layout 3.
[[nodiscard]] std::vector<std::byte> unpack_levels(const PackedParts& parts,
                                                   const PackedRecord& record,
                                                   const ParallelFor& parallel_for);
[[nodiscard]] UnpackedCodes read_levels(const PackedParts& parts, const PackedRecord& record,
                                        const ParallelFor& parallel_for);

}  // namespace sgpt_mi::packing
