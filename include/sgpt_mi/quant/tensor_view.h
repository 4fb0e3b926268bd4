#pragma once

#include <torch/types.h>

#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::quant {

/// The tensor as a kernel's matrix. It must have two dimensions, element type T, and rows whose
/// elements are neighbours (a slice of columns qualifies). The tensor keeps the memory.
/// Throws Error(kInternal) otherwise.
template <typename T>
[[nodiscard]] kernels::MatrixView<T> view_of(const torch::Tensor& tensor);

/// LibTorch's thread pool, for rooms that do not know it.
[[nodiscard]] ParallelFor torch_threads();

/// Where kernels on this tensor run: LibTorch's thread pool, or the device's current CUDA stream.
[[nodiscard]] kernels::Backend backend_of(const torch::Tensor& tensor);

}  // namespace sgpt_mi::quant
