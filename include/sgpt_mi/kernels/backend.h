#pragma once

#include "sgpt_mi/core/parallel.h"

namespace sgpt_mi::kernels {

/// Where an op runs. All pointers that the op gets belong to that place.
struct Backend {
  /// For the CPU twin: the caller's thread pool. Results do not depend on the number of threads.
  ParallelFor parallel_for = serial_for();
  /// True: the CUDA twin, on the current device. Throws Error(kDevice) in a build without CUDA.
  bool cuda = false;
  /// A cudaStream_t; nullptr is the default stream. Launches are asynchronous on it.
  void* cuda_stream = nullptr;
};

}  // namespace sgpt_mi::kernels
