#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/backend.h"

namespace sgpt_mi::kernels {

/// Some of the values of a selection: `count` floats, neighbours in memory, at least 0.
struct ValueRun {
  const float* values = nullptr;
  std::int64_t count = 0;
  Backend backend;
  int cuda_device = -1;  ///< that holds them; -1: the current one, or none
};

/// The value at place k (0-based) of all runs' values sorted ascending, by radix selection on their
/// bits. Which run holds a value does not matter; runs on several CUDA devices are counted at the
/// same time.
///
/// Exact, so it does not depend on threads or device. -0 counts as smaller than +0, NaN with a
/// clear sign bit as larger than infinity.
///
/// Cost: on the CPU two passes over the values, and 4 bytes for each that shares the upper 11 bits
/// with the result; with CUDA three passes, and the call waits for the result.
///
/// \throws Error(kInternal) k outside [0, sum of counts), runs on CUDA devices beside others.
[[nodiscard]] float kth_smallest(const std::vector<ValueRun>& runs, std::int64_t k);

}  // namespace sgpt_mi::kernels
