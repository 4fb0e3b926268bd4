#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"

namespace sgpt_mi::kernels {

/// The value at place k (0-based) of the values sorted ascending, by radix selection on their bits.
///
/// Exact, so it does not depend on threads or device. -0 counts as smaller than +0, NaN with a
/// clear sign bit as larger than infinity.
///
/// Cost: on the CPU two passes over the values, and 4 bytes for each that shares the upper 11 bits
/// with the result; with CUDA three passes, and the call waits for the result.
///
/// \param values  `count` floats, neighbours in memory.
/// \throws Error(kInternal) k outside [0, count).
[[nodiscard]] float kth_smallest(const float* values, std::int64_t count, std::int64_t k,
                                 const Backend& backend);

}  // namespace sgpt_mi::kernels
