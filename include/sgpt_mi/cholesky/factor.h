#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace sgpt_mi::cholesky {

/// One try to factorise the damped H. The first has the damping asked for; after a failure it grows
/// by 2, 5, 10, 20 ... up to 1.0, and then once more from the start in float64.
struct DampingStep {
  double percdamp = 0.0;
  bool float64 = false;
  bool succeeded = false;
  double residual = 0.0;  ///< |U H U^T - I| sampled; 0 when the factorisation itself failed
};

/// The upper factor of an inverse, and how it was reached.
struct Factor {
  torch::Tensor upper;             ///< U (N, N) float32, (H + damping I)^-1 = U^T U
  std::vector<DampingStep> steps;  ///< the last one succeeded
};

/// U of H damped by percdamp * mean(diag H).
///
/// With J the reversal of the order and chol(J H J) = M M^T, H = R R^T for the upper triangular
/// R = J M J, so U = R^-1 = J M^-1 J: one Cholesky factorisation and one triangular inverse instead
/// of the factorisation, inverse and second factorisation of the SparseGPT code.
///
/// A try succeeds when the factorisation does and |U H U^T - I| is below 0.01 in 16 sampled rows.
/// Otherwise the damping grows by 2, 5, 10, 20 ... up to 1.0, first in float32, then once more from
/// the start in float64; every try is recorded.
///
/// \param hessian  (N, N) float32, symmetric, no zero on the diagonal; not changed.
/// \throws Error(kNumeric) naming `name` when all tries fail.
///
/// Cost: 2 N^3 / 3 multiply-adds and four (N, N) temporaries.
[[nodiscard]] Factor factorize(const torch::Tensor& hessian, double percdamp,
                               const std::string& name);

}  // namespace sgpt_mi::cholesky
