#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// Which weights may differ from zero after a sweep of coordinate descent.
enum class Support : std::uint8_t {
  kKept,       ///< those of the given mask
  kThreshold,  ///< those whose score H_jj w*^2 exceeds a threshold
  kPattern     ///< M - N of every M neighbouring columns per row; starts from the given mask
};

/// One block of columns of one weight matrix in a sweep of coordinate descent on tr(E H E^T),
/// E = Q - W0.
struct DescentBlock {
  MatrixView<float> weight;          ///< (rows, width) in: Q; out: the new Q
  MatrixView<const float> gradient;  ///< (rows, width) the block's columns of E H at the start
  MatrixView<const float> hessian;   ///< (width, width) diagonal block of H, symmetric, H_jj > 0
  MatrixView<bool> pruned;  ///< (rows, width) in unless kThreshold, out unless kKept; true: zero
  Support support = Support::kKept;
  float threshold = 0.0F;          ///< of kThreshold
  NmPattern pattern;               ///< of kPattern: m > 0 divides width
  GridView grid;                   ///< of the block's columns; of kKept only
  MatrixView<std::uint8_t> codes;  ///< (rows, width) out; not touched without grid.has_codes()
};

/// One sweep of coordinate descent over one block: for j = 0 .. width - 1, in every row,
///
///     w*      = q_j - G_j / H_jj           minimises the objective over column j
///     q       = 0 where pruned, else w*; then scale * (code - zero) as in obs_block
///     G_k    += (q - q_j) H_jk             for the block's columns k > j
///     q_j     = q
///
/// With f = 1/2 tr(E H E^T), and up to float32 rounding:
///
/// kKept: the mask is given. f never rises, if pruned weights are 0 and, with a grid, all others
/// are grid values before the sweep. With levels, where column_cost is column_step^2 H_jj, the same
/// holds of sum_r row_cost[r] / row_step[r]^2 [E H E^T]_rr plus the prices, as long as neighbouring
/// prices differ by less than twice the costs: a level that is none of the three looked at is left.
///
/// kThreshold: pruned where not H_jj (w* w*) > threshold. f + threshold / 2 * (number of weights
/// that are not 0) never rises, since half the score is what pruning a weight adds to f.
///
/// kPattern: f never rises. In and out, exactly N of every M neighbouring columns are pruned in
/// every row, and pruned weights are 0. When the loop arrives at a group of M columns, (a) its kept
/// columns are descended one after the other; (b) of all exchanges of a kept column k for a pruned
/// column j, which change f by
///
///     delta = 1/2 H_kk q_k^2 - G_k q_k - 1/2 (G_j - q_k H_kj)^2 / H_jj ,
///
/// the one with the least delta is made, the lowest (k, j) of equal ones, up to N times per row; a
/// delta not below -1e-6 times the sum of the magnitudes of its three terms does not count, because
/// it may be rounding, and exchanges could go in circles; (c) its kept columns are descended again.
/// Then the group's change is added to the gradients of the block's later columns.
///
/// Arithmetic is float32 in the order written, true divisions, products and sums rounded one by
/// one. Therefore the two twins and every number of threads give the same bits. Rows never
/// interact.
///
/// Cost: rows * width^2 / 2 multiply-adds; kPattern adds about 12 (N + 1) rows * width * M
/// operations.
///
/// \throws Error(kInternal) shapes that disagree, or a grid without kKept.
void descend_block(const DescentBlock& block, const Backend& backend);

}  // namespace sgpt_mi::kernels
