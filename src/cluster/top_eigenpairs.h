#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace sgpt_mi::cluster {

/// A symmetric (n, n) matrix A known by its products.
struct SymmetricOperator {
  std::int64_t size = 0;
  /// (n, b) float64 on `device` -> A times it, likewise.
  std::function<torch::Tensor(const torch::Tensor&)> apply;
  torch::Device device = torch::kCPU;  ///< where the subspace lives
};

struct EigenOptions {
  std::int64_t wanted = 0;  ///< k, 1 .. n
  /// On |A v - lambda v|, a share of the largest eigenvalue. float32 products leave about 1e-7.
  double tolerance = 1e-4;
  std::int64_t max_products = 100;  ///< with A, before giving up
};

/// The k algebraically largest eigenvalues and their eigenvectors.
struct Eigenpairs {
  torch::Tensor values;       ///< (k) float64, descending, on the CPU
  torch::Tensor vectors;      ///< (n, k) float64, orthonormal columns, on the CPU
  std::int64_t products = 0;  ///< with A; 0: the full eigensolver
  double residual = 0.0;      ///< largest |A v - lambda v| / largest eigenvalue
  bool converged = true;
};

/// Columns of the start block that top_eigenpairs wants for k eigenpairs.
[[nodiscard]] std::int64_t block_columns(std::int64_t wanted);

/// The leading eigenpairs of A by block subspace iteration with Rayleigh-Ritz. The subspace Q holds
/// all blocks since the last restart; in every step
///
///     Q^T A Q = Y Theta Y^T      X = Q Y (leading columns)      R = A X - X Theta
///
/// and the residuals R of the leading Ritz vectors that have not converged become the next block,
/// orthogonalised twice against Q. When Q is full it is replaced by its leading Ritz vectors (thick
/// restart). In exact arithmetic Q spans the block Krylov space, so convergence depends on square
/// roots of gaps where plain subspace iteration depends on the gaps. (Saad, Numerical Methods for
/// Large Eigenvalue Problems, 2nd ed., chapters 6 and 8.)
///
/// A matrix of which the subspace would be half (284 rows for k = 10) goes to LAPACK's full
/// eigensolver, which is faster there.
///
/// \param start  (n, block_columns(k)) float64: independent columns, usually random; on any device.
///
/// Cost: a product with block_columns(k) columns and O(n (k + block)^2) a step, all on the
/// operator's device but the small eigenproblem; memory of O(n (k + block)) there.
[[nodiscard]] Eigenpairs top_eigenpairs(const SymmetricOperator& matrix, const torch::Tensor& start,
                                        const EigenOptions& options);

}  // namespace sgpt_mi::cluster
