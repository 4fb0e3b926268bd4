#pragma once

#include <torch/types.h>

namespace sgpt_mi::cholesky {

/// The Cholesky factor L of A = L L^T, lower triangular with zeros above, in the place of A, (N, N)
/// symmetric of which the lower triangle is read. \returns whether A was positive definite; A then
/// holds L, else nothing of use.
///
/// On the CPU by panels of 256 columns, so that nearly all of the N^3 / 3 multiply-adds are matrix
/// products: a sixth faster than LAPACK's at 3,072 (measured with MKL on Zen 4). On a device by
/// LibTorch's solver.
[[nodiscard]] bool factor_lower(torch::Tensor& a);

/// L^-1 (N, N), lower triangular with zeros above, of a lower triangular L. Cost: N^3 / 3
/// multiply-adds, on the CPU nearly all of them in products of row panels with what is inverted
/// already.
[[nodiscard]] torch::Tensor invert_lower(const torch::Tensor& lower);

}  // namespace sgpt_mi::cholesky
