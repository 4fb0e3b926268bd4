#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::drift {

/// An estimate of a drift.
struct DriftMoments {
  torch::Tensor cross;  ///< C = E (xd - x) x^T, (N, N) float32 in the scale of the input's hessian
  /// Cr = E (rd - r) x^T (rows, N) in the same scale, of linears whose output is added to a stream
  /// r; undefined: 0.
  torch::Tensor residual;
  std::int64_t sequences = 0;  ///< that it was estimated from
};

/// The drift of one input, ready to correct the linears that read it.
struct SiteDrift {
  std::vector<DriftMoments> halves;
  torch::Tensor cross;     ///< (N, N) float32: the mean of the halves' C, or that times H'^-1
  torch::Tensor residual;  ///< (rows, N) float32: the mean of their Cr; undefined: 0
  bool divided = false;    ///< cross is C H'^-1
};

struct DriftTarget {
  torch::Tensor weight;  ///< W0 (rows, N) float32
  double share = 0.0;    ///< alpha
};

/// The target of a linear whose input x has drifted from the dense model's xd:
///
///     W0 = W + alpha D H'^-1,   D = W C + Cr,   C = E (xd - x) x^T,   Cr = E (rd - r) x^T
///
/// With D known and alpha = 1 this minimises E ||W xd + (rd - r) - W0 x||^2 up to the damping;
/// compressing W0 instead of W makes good what the layers before have lost (Arai & Ichikawa 2025,
/// arXiv 2504.09629). But D is an estimate from some thousand tokens, in which chance weighs the
/// more the smaller the drift is. The share of it that gains most on other text is
///
///     alpha = limit * <D1 H'^-1, D2> / <D H'^-1, D>, at least 0 and at most limit,
///
/// D1 and D2 from different halves of the text, D their mean by sequences: the halves have the
/// drift in common, and not their noise. alpha is taken from 64 rows that stand for all.
///
/// \param weight  (rows, N), any floating dtype.
/// \param drift   prepare_drift() of the same input.
/// \param limit   in [0, 1].
/// \param options  CompressOptions::rows; of several devices the weight's is used.
/// Cost: (rows + 4 min(rows, 64)) * N^2 multiply-adds where C is divided by H', else up to twice
/// rows * N^2 more.
/// \throws Error(kInternal) shapes that disagree.
[[nodiscard]] DriftTarget correct_drift(const torch::Tensor& weight,
                                        const obs::PreparedInput& input, const SiteDrift& drift,
                                        double limit, const obs::CompressOptions& options = {});

/// The halves and their mean; C H'^-1 where `rows`, those of all linears that read the input, make
/// up for its products: more than N, and no residual stream.
/// \param halves  two estimates from texts apart; with one alone alpha = limit.
/// Cost: at most 2 N^3 multiply-adds.
/// \throws Error(kInternal) no estimate.
[[nodiscard]] SiteDrift prepare_drift(std::vector<DriftMoments> halves,
                                      const obs::PreparedInput& input, std::int64_t rows);

}  // namespace sgpt_mi::drift
