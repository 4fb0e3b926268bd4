#pragma once

#include <cstddef>
#include <cstdint>

namespace sgpt_mi::kernels {

/// A row-major matrix that somebody else owns: element (i, j) at data[i * stride + j].
template <typename T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;

  /// Constant expressions may also be evaluated in device code.
  [[nodiscard]] constexpr T* row(std::int64_t i) const {
    return data + static_cast<std::ptrdiff_t>(i * stride);
  }
};

}  // namespace sgpt_mi::kernels
