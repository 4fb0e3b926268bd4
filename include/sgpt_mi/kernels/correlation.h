#pragma once

#include <cstdint>

#include "sgpt_mi/kernels/backend.h"
#include "sgpt_mi/kernels/views.h"

namespace sgpt_mi::kernels {

/// Sums over tokens of N channels, and the maps to make of them. A map without data is not made.
struct CorrelationMap {
  MatrixView<const float> second_moment_sum;  ///< (N, N) sum of x x^T; the upper part is read
  const double* mean = nullptr;               ///< (N)
  const double* inverse_deviation = nullptr;  ///< (N) 1 / sigma; 0: a constant channel
  double share = 1.0;                         ///< 1 / tokens
  double cap = 1.0;                           ///< largest |rho| of two channels, in (0, 1]
  MatrixView<float> rho;                      ///< (N, N) out; diagonal 1, 0 for constant channels
  MatrixView<float> strength;                 ///< (N, N) out: |rho|, diagonal 0
  MatrixView<float> nats;  ///< (N, N) out: -1/2 ln(1 - rho^2), diagonal 0; needs cap < 1
};

/// Correlations of every pair of channels in one pass over the second moment:
///
///     rho_ij = (H_ij * share - mean_i mean_j) * (inverse_deviation_i inverse_deviation_j)
///
/// capped to [-cap, cap] and rounded to float32; their magnitude; and the mutual information of
/// Gaussian channels (Cover & Thomas, Elements of Information Theory, 2nd ed., Example 8.5.1), from
/// the rounded rho. Every map is symmetric to the last bit, since each pair is computed once.
///
/// Arithmetic is float64 operation by operation, the logarithm within 1e-13 relative, so the twins
/// and every number of threads give the same bits. NaN stays NaN.
///
/// Cost: half of H read, every map written once; about 10 operations per pair, 25 more with nats.
///
/// \throws Error(kInternal) shapes that disagree, a cap outside its range.
void correlate(const CorrelationMap& map, const Backend& backend);

}  // namespace sgpt_mi::kernels
