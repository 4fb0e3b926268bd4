#include "triangular.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

namespace sgpt_mi::cholesky {
namespace {

/// Columns that a panel of the factorisation has (64 to 256 cost the same at 3,072 columns, and
/// with one panel the library's own is used up to 256).
constexpr std::int64_t kFactorPanel = 256;

/// Rows of a panel of the inversion, and columns of its products: narrower panels save more of the
/// zero triangle, wider ones make faster products (measured at 768 and 3,072).
constexpr std::int64_t kInverseRows = 128;
constexpr std::int64_t kInverseColumns = 256;

/// Columns of the inverse that a device solves for together.
constexpr std::int64_t kDevicePanel = 256;

torch::Tensor block(const torch::Tensor& matrix, std::int64_t row, std::int64_t rows,
                    std::int64_t column, std::int64_t columns) {
  return matrix.narrow(0, row, rows).narrow(1, column, columns);
}

torch::Tensor solve_for_identity(const torch::Tensor& lower) {
  return at::linalg_solve_triangular(lower, at::eye(lower.size(0), lower.options()),
                                     /*upper=*/false);
}

/// M^-1 by solving: column panel p has zeros above row p, so only the system below is solved, a
/// third of the work of solving for the identity.
torch::Tensor invert_by_solving(const torch::Tensor& lower) {
  const std::int64_t n = lower.size(0);
  torch::Tensor inverse = at::zeros_like(lower);
  for (std::int64_t first = 0; first < n; first += kDevicePanel) {
    const std::int64_t below = n - first;
    const std::int64_t width = std::min(kDevicePanel, below);
    block(inverse, first, below, first, width)
        .copy_(at::linalg_solve_triangular(block(lower, first, below, first, below),
                                           at::eye(below, width, lower.options()),
                                           /*upper=*/false));
  }
  return inverse;
}

}  // namespace

bool factor_lower(torch::Tensor& a) {
  const std::int64_t n = a.size(0);
  if (!a.is_cpu() || n <= kFactorPanel) {
    const auto [lower, info] = at::linalg_cholesky_ex(a);
    a = lower;
    return info.item<int>() == 0;
  }
  for (std::int64_t first = 0; first < n; first += kFactorPanel) {
    const std::int64_t width = std::min(kFactorPanel, n - first);
    const std::int64_t below = n - first - width;
    if (first > 0) {
      block(a, first, width + below, first, width)
          .addmm_(block(a, first, width + below, 0, first), block(a, first, width, 0, first).t(), 1,
                  -1);
    }
    torch::Tensor corner = block(a, first, width, first, width);
    const auto [lower, info] = at::linalg_cholesky_ex(corner);
    if (info.item<int>() != 0) return false;
    corner.copy_(lower);
    if (below == 0) continue;
    torch::Tensor rest = block(a, first + width, below, first, width);
    rest.copy_(at::mm(rest, solve_for_identity(lower).t()));
  }
  a.tril_();
  return true;
}

torch::Tensor invert_lower(const torch::Tensor& lower) {
  if (!lower.is_cpu()) return invert_by_solving(lower);
  const std::int64_t n = lower.size(0);
  torch::Tensor inverse = at::zeros_like(lower);
  for (std::int64_t first = 0; first < n; first += kInverseRows) {
    const std::int64_t rows = std::min(kInverseRows, n - first);
    const torch::Tensor corner = solve_for_identity(block(lower, first, rows, first, rows));
    block(inverse, first, rows, first, rows).copy_(corner);
    if (first == 0) continue;
    // Rows of L^-1 = -L_ii^-1 L_i,<i (L^-1)_<i.
    const torch::Tensor factor = at::mm(corner, block(lower, first, rows, 0, first)).neg_();
    for (std::int64_t column = 0; column < first; column += kInverseColumns) {
      const std::int64_t width = std::min(kInverseColumns, first - column);
      torch::Tensor place = block(inverse, first, rows, column, width);
      at::mm_out(place, factor.narrow(1, column, first - column),
                 block(inverse, column, first - column, column, width));
    }
  }
  return inverse;
}

}  // namespace sgpt_mi::cholesky
