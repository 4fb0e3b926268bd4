#include "top_eigenpairs.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::cluster {
namespace {

/// A product reads the whole matrix, so that up to about this many columns cost nothing extra.
constexpr std::int64_t kBlock = 24;

/// Blocks that the subspace holds beside the Ritz vectors kept at a restart.
constexpr std::int64_t kBlocksPerRestart = 5;

std::int64_t kept_at_restart(std::int64_t wanted) { return wanted + kBlock / 2; }

std::int64_t capacity_for(std::int64_t wanted) {
  return kept_at_restart(wanted) + kBlocksPerRestart * block_columns(wanted);
}

/// Orthonormal columns that span `block` without its part in `basis`. Columns that depend on the
/// others are left out.
torch::Tensor orthonormal_complement(const torch::Tensor& basis, torch::Tensor block) {
  // Below this share of its length before, what is left of a column is rounding.
  constexpr double kDependent = 1e-10;
  // Twice is enough (Giraud, Langou & Rozloznik 2005).
  for (int pass = 0; pass < 2; ++pass) {
    block = block / block.norm(2, {0}, /*keepdim=*/true).clamp_min(1e-300);
    block = block - at::mm(basis, at::mm(basis.t(), block));
    const auto [q, r] = at::linalg_qr(block);
    const torch::Tensor kept = r.diagonal().abs().gt(kDependent).nonzero().flatten();
    block = kept.size(0) == q.size(1) ? q : q.index_select(1, kept);
  }
  return block;
}

torch::TensorOptions on_device(const SymmetricOperator& matrix) {
  return torch::TensorOptions().dtype(torch::kFloat64).device(matrix.device);
}

/// The subspace Q, A Q and Q^T A Q, and what Rayleigh-Ritz makes of them.
class Subspace {
 public:
  Subspace(const SymmetricOperator& matrix, std::int64_t capacity)
      : matrix_(matrix),
        basis_(at::empty({matrix.size, capacity}, on_device(matrix))),
        image_(at::empty({matrix.size, capacity}, on_device(matrix))) {}

  [[nodiscard]] torch::Tensor basis() const { return basis_.narrow(1, 0, used_); }
  [[nodiscard]] torch::Tensor image() const { return image_.narrow(1, 0, used_); }
  [[nodiscard]] bool has_room(std::int64_t columns) const {
    return used_ + columns <= basis_.size(1);
  }

  /// Adds orthonormal columns, one product with A.
  void append(const torch::Tensor& block) {
    const torch::Tensor product = matrix_.apply(block);
    const torch::Tensor border = at::mm(basis().t(), product);
    torch::Tensor corner = at::mm(block.t(), product);
    corner = (corner + corner.t()) * 0.5;
    projected_ =
        used_ == 0 ? corner
                   : at::cat({at::cat({projected_, border}, 1), at::cat({border.t(), corner}, 1)});
    basis_.narrow(1, used_, block.size(1)).copy_(block);
    image_.narrow(1, used_, block.size(1)).copy_(product);
    used_ += block.size(1);
  }

  /// Eigenvalues of Q^T A Q, descending, and its eigenvectors. On the CPU: some 100 rows are too
  /// few for a GPU.
  void solve() {
    const auto [values, vectors] = at::linalg_eigh(projected_.to(torch::kCPU));
    ritz_values_ = values.flip(0).to(basis_.device());
    ritz_coordinates_ = vectors.flip(1).to(basis_.device());
  }
  [[nodiscard]] torch::Tensor ritz_values(std::int64_t count) const {
    return ritz_values_.narrow(0, 0, count);
  }
  [[nodiscard]] torch::Tensor ritz_vectors(std::int64_t count) const {
    return at::mm(basis(), ritz_coordinates_.narrow(1, 0, count));
  }
  /// A X - X Theta of the `count` leading Ritz pairs.
  [[nodiscard]] torch::Tensor residuals(std::int64_t count) const {
    return at::mm(image(), ritz_coordinates_.narrow(1, 0, count)) -
           ritz_vectors(count) * ritz_values(count);
  }

  /// Q becomes its `count` leading Ritz vectors.
  void restart(std::int64_t count) {
    const torch::Tensor coordinates = ritz_coordinates_.narrow(1, 0, count);
    const torch::Tensor vectors = at::mm(basis(), coordinates);
    const torch::Tensor images = at::mm(image(), coordinates);
    basis_.narrow(1, 0, count).copy_(vectors);
    image_.narrow(1, 0, count).copy_(images);
    projected_ = ritz_values(count).diag();
    used_ = count;
  }

 private:
  const SymmetricOperator& matrix_;
  torch::Tensor basis_;
  torch::Tensor image_;
  torch::Tensor projected_;
  torch::Tensor ritz_values_;
  torch::Tensor ritz_coordinates_;
  std::int64_t used_ = 0;
};

Eigenpairs solve_fully(const SymmetricOperator& matrix, std::int64_t wanted) {
  const torch::Tensor dense = matrix.apply(at::eye(matrix.size, on_device(matrix))).to(torch::kCPU);
  const auto [values, vectors] = at::linalg_eigh((dense + dense.t()) * 0.5);
  Eigenpairs result;
  result.values = values.flip(0).narrow(0, 0, wanted).contiguous();
  result.vectors = vectors.flip(1).narrow(1, 0, wanted).contiguous();
  return result;
}

/// The columns of `residuals` for the next block: the first `count` that are too long.
torch::Tensor next_directions(const torch::Tensor& residuals, const torch::Tensor& lengths,
                              double limit, std::int64_t count) {
  const torch::Tensor open = lengths.gt(limit).nonzero().flatten();
  return residuals.index_select(1, open.narrow(0, 0, std::min(count, open.size(0))));
}

}  // namespace

std::int64_t block_columns(std::int64_t wanted) {
  // Room for eigenvalues that lie together; more than half of k a step gains nothing.
  return std::max(kBlock, (wanted + 1) / 2);
}

Eigenpairs top_eigenpairs(const SymmetricOperator& matrix, const torch::Tensor& start,
                          const EigenOptions& options) {
  const std::int64_t capacity = capacity_for(options.wanted);
  ensure(options.wanted >= 1 && options.wanted <= matrix.size,
         "cluster: more eigenpairs are wanted than there are");
  if (matrix.size <= 2 * capacity) return solve_fully(matrix, options.wanted);
  const std::int64_t block = block_columns(options.wanted);
  Subspace subspace(matrix, capacity);
  torch::Tensor next = orthonormal_complement(subspace.basis(), start.to(matrix.device));
  Eigenpairs result;
  while (true) {
    subspace.append(next);
    ++result.products;
    subspace.solve();
    const std::int64_t examined =
        std::min(kept_at_restart(options.wanted), subspace.basis().size(1));
    const torch::Tensor residuals = subspace.residuals(examined);
    const torch::Tensor lengths = residuals.norm(2, {0});
    // Positive, so that a matrix of zeros has residual 0.
    const double scale = std::max(std::abs(subspace.ritz_values(1).item<double>()), 1e-300);
    const std::int64_t found = std::min(options.wanted, examined);
    result.residual = lengths.narrow(0, 0, found).max().item<double>() / scale;
    result.converged = found == options.wanted && result.residual <= options.tolerance;
    if (result.converged || result.products >= options.max_products) break;
    if (!subspace.has_room(block)) subspace.restart(kept_at_restart(options.wanted));
    next = orthonormal_complement(
        subspace.basis(), next_directions(residuals, lengths, options.tolerance * scale, block));
    if (next.size(1) == 0) break;
  }
  ensure(subspace.basis().size(1) >= options.wanted, "cluster: the start block is too narrow");
  result.values =
      subspace.ritz_values(options.wanted).to(torch::kCPU, torch::kFloat64, false, true);
  result.vectors = subspace.ritz_vectors(options.wanted).to(torch::kCPU);
  return result;
}

}  // namespace sgpt_mi::cluster
