#pragma once

#include <cstdint>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/obs_block.h"
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

/// Throws Error(kInternal) naming `op` when a part of the levels is missing.
inline void check_levels(const LevelView& levels, const char* op) {
  const bool whole = levels.row_step != nullptr && levels.row_cost != nullptr &&
                     levels.column_cost != nullptr && levels.row_table != nullptr &&
                     levels.column_table != nullptr && levels.price != nullptr && levels.tables > 0;
  if (!whole) fail(ErrorKind::kInternal, "{}: a part of the levels is missing", op);
}

}  // namespace sgpt_mi::kernels
