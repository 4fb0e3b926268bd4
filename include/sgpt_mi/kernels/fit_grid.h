#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// Weights and the places of the grids fitted to them.
struct GridFit {
  MatrixView<const float> weight;  ///< (rows, columns), finite
  MatrixView<float> scale;         ///< (rows, groups) out
  MatrixView<float> zero;          ///< (rows, groups) out
  std::int64_t group_size = 0;  ///< neighbouring columns per group; groups * group_size = columns
  float max_code = 0.0F;        ///< 2^bits - 1
  bool symmetric = false;       ///< range [-max|w|, max|w|] and zero = (max_code + 1) / 2
  bool clip_search = false;     ///< try 80 narrower ranges as well
};

/// Fits one affine integer grid to every (row, group):
///
///     scale = (max - min) / max_code          zero = round(-min / scale)
///
/// over the group's range widened to contain 0, so that 0 is always a grid value. A group without
/// any range (all zero, or so narrow that the scale underflows) gets the range [-1, 1].
///
/// With clip_search the ranges p * [min, max], p = 1 - i / 100 for i = 0 .. 79, are compared and
/// the one with the least sum of |q - w|^2.4 is taken, the widest of equal ones (the search of the
/// GPTQ code, 2210.17323). Powers are accurate to 1e-6 relative and summed in float64.
///
/// Cost: one pass over the weights; 80 passes and about 30 operations per weight and pass with the
/// search.
///
/// \throws Error(kInternal) shapes that disagree.
void fit_grid(const GridFit& fit, const Backend& backend);

}  // namespace sgpt_mi::kernels
