#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// Whether the view points to a matrix of this shape.
template <typename T>
bool has_shape(const MatrixView<T>& view, std::int64_t rows, std::int64_t columns) {
  return view.data != nullptr && view.rows == rows && view.columns == columns &&
         view.stride >= columns;
}

/// A grid's scales or zero points; with stride 0 all rows share the first.
inline bool has_grid_shape(const MatrixView<const float>& view, std::int64_t rows,
                           std::int64_t groups) {
  return view.data != nullptr && view.rows == rows && view.columns == groups &&
         (view.stride == 0 || view.stride >= groups);
}

}  // namespace sgpt_mi::kernels
