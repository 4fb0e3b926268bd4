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
  /// Neighbouring columns per group, groups = ceil(columns / group_size): the last group may have
  /// fewer.
  std::int64_t group_size = 0;
  float max_code = 0.0F;   ///< 2^bits - 1
  bool symmetric = false;  ///< range [-max|w|, max|w|] and zero = (max_code + 1) / 2
  int clip_trials = 1;     ///< ranges compared; 1: no search
  double clip_step = 0.0;  ///< range i keeps the share 1 - i * clip_step, at least 1/5
  const float* column_weight = nullptr;  ///< (columns), >= 0: factors of the errors; nullptr: all 1
};

/// Fits one affine integer grid to every (row, group):
///
///     scale = (max - min) / max_code          zero = round(-min / scale)
///
/// over the group's range widened to contain 0, so that 0 is always a grid value. A group without
/// any range (all zero, or so narrow that the scale underflows) gets the range [-1, 1].
///
/// With clip_trials > 1 that many ranges p * [min, max], p = 1 - i * clip_step for i = 0, 1, ...,
/// are compared and the one with the least sum of column_weight * |q - w|^2.4 is taken, the widest
/// of equal ones (80 trials of step 0.01 without column weights are the search of the GPTQ code,
/// 2210.17323). Powers are accurate to 1e-6 relative and summed in float64.
///
/// A weight of 0 widens no range and has no error, so a grid of the unpruned weights alone is
/// fitted to a matrix whose pruned weights are 0.
///
/// Cost: one pass over the weights; clip_trials passes and about 30 operations per weight and pass
/// with the search.
///
/// \throws Error(kInternal) shapes that disagree, or a clip search outside its range.
void fit_grid(const GridFit& fit, const Backend& backend);

}  // namespace sgpt_mi::kernels
