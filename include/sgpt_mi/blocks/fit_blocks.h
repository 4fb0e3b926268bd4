#pragma once

#include <cstdint>

#include "sgpt_mi/blocks/block_types.h"
#include "sgpt_mi/core/parallel.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::blocks {

/// The scales of some blocks of a matrix: BlockParts of neighbouring blocks of every row.
struct BlockScales {
  kernels::MatrixView<float> super_scale;    ///< (rows, blocks)
  kernels::MatrixView<float> super_minimum;  ///< (rows, blocks)
  kernels::MatrixView<float> sub_scale;      ///< (rows, groups)
  kernels::MatrixView<float> sub_minimum;    ///< (rows, groups)
};

/// Weights, and how much the error of each counts.
struct BlockFit {
  const BlockType* type = nullptr;
  kernels::MatrixView<const float> weight;  ///< (rows, columns), finite
  const float* column_weight = nullptr;     ///< (columns), >= 0
  BlockScales scales;
};

/// Finds the scales of whole blocks that leave the least sum of column_weight * (q - w)^2, with the
/// scales themselves rounded as the type stores them:
///
/// 1. For each group alone: about 20 scales around range / max code; for each, codes, then the
///    least-squares scale (and minimum) for these codes, twice.
/// 2. The block's factors so that the largest group's scale is the largest whole number; then for
///    each group the best of the neighbouring whole numbers by the error itself, the block's
///    factors again by least squares for the codes as they are, and the whole numbers once more.
///
/// A group of zeros gets scale 0. Minima are never below 0, as in llama.cpp's files.
/// Cost: about 100 evaluations of every weight.
/// \throws Error(kInternal) columns that are not whole blocks.
void fit_blocks(const BlockFit& fit, const ParallelFor& parallel_for);

/// The same for one group of every row with the block's factors given: step 1 and the whole numbers
/// of step 2. Without a second level nothing is left to fit.
/// \param fit  weight: the group's columns; scales: views of one column each.
void fit_group(const BlockFit& fit, const ParallelFor& parallel_for);

}  // namespace sgpt_mi::blocks
