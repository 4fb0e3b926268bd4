#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::obs {

/// A weight matrix pruned to some share, and what that does to its output.
struct PrunedLevel {
  double sparsity = 0.0;  ///< share of weights that are zero, as reached
  double damage = 0.0;    ///< sum_r f_r [E H' E^T]_rr, E = Q - W
};

/// A matrix pruned to several shares.
struct PruneCurve {
  std::vector<PrunedLevel> levels;  ///< in the order asked for
  torch::Tensor weight;             ///< Q (rows, N) float32 of the level `keep`
  torch::Tensor pruned;             ///< (rows, N) bool of that level
};

/// What is measured with.
struct CurveInput {
  const PreparedInput& input;
  const CompressOptions& options;  ///< blocksize, N:M pattern, grids
  torch::Tensor row_weight;  ///< f (rows) float64, >= 0: weight of each output's squared error
};

/// Damage at several sparsities from one factorisation: a SparseGPT sweep that prunes to the first,
/// two sweeps of L0 coordinate descent there and one at each further share. The share that is
/// reached differs a little from the one asked for, because the threshold moves with the weights.
/// Rows compete for kept weights with their errors' weights, as CompressOptions::row_weight has it.
///
/// \param weight      (rows, N), any floating dtype.
/// \param sparsities  ascending, in (0, 1). Ignored with an N:M pattern, which is one level.
/// \param keep        index of the level whose weights are returned.
/// Cost: (levels + 3) * rows * N^2 multiply-adds.
[[nodiscard]] PruneCurve measure_pruning(const torch::Tensor& weight, const CurveInput& input,
                                         const std::vector<double>& sparsities, std::size_t keep);

/// Damage that codes of one width add, by groups of columns: one OBS sweep from Q with its mask and
/// grids fitted to the kept weights,
///
///     damage_g = sum over columns j of group g, sum_r f_r (w_rj - q_rj)^2 / U_jj^2 ,
///
/// whose sum over all columns is sum_r f_r [E H' E^T]_rr.
///
/// \param weight  Q (rows, N) float32, zero where pruned.
/// \param pruned  (rows, N) bool.
/// \param groups  of columns, all of the width to measure; each group has its own grids.
/// \return one number a group.
/// Cost: rows * N^2 / 2 multiply-adds and 32 passes of the clip search.
[[nodiscard]] std::vector<double> measure_width(const torch::Tensor& weight,
                                                const torch::Tensor& pruned,
                                                const CurveInput& input,
                                                const quant::ColumnGroups& groups);

/// The same of rounding to blocks of ggml's type options.block_type, with grids fitted along the
/// way as compress_sparsegpt() does: the sum over all columns.
[[nodiscard]] double measure_blocks(const torch::Tensor& weight, const torch::Tensor& pruned,
                                    const CurveInput& curve);

/// A matrix swept to levels, LevelOptions, of one step.
struct LevelPoint {
  double step = 0.0;
  double bits = 0.0;    ///< a weight: the entropy of the levels given quant::LevelTables
  double damage = 0.0;  ///< sum_rj f_r (w - q)_rj^2 / U_jj^2
};

/// What levels of several steps take and do: one OBS sweep each, from about 8 bits a weight down to
/// nearly none, in steps of half an octave. Of many rows 32 stand for all, of very many one of 64.
///
/// \param weight   (rows, N) float32, zero where pruned.
/// \param pruned   (rows, N) bool; undefined: none is.
/// \param measure  its row_weight as floored_row_weight() gives it. The ranks of its options, which
///                 all call, measure some of the steps each.
/// Cost: 20 sweeps over those rows.
[[nodiscard]] std::vector<LevelPoint> measure_levels(const torch::Tensor& weight,
                                                     const torch::Tensor& pruned,
                                                     const CurveInput& measure);

/// trace(W H W^T): the energy of a linear's output, to which errors are related where no gradient
/// is at hand. Cost: rows * N^2 / 2 multiply-adds.
[[nodiscard]] double output_energy(const torch::Tensor& weight, const torch::Tensor& hessian);

}  // namespace sgpt_mi::obs
