#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "sgpt_mi/kernels/descend_block.h"
#include "sgpt_mi/quant/grid.h"

namespace sgpt_mi::obs {

/// What a descent approximates, and in which norm: ||E||^2 = trace(E H' E^T), E = Q - W0.
struct Problem {
  torch::Tensor target;           ///< W0 (rows, N) float32
  torch::Tensor hessian;          ///< H' (N, N) float32, damped, symmetric, positive diagonal
  std::int64_t product_rows = 0;  ///< RowPlacement::product_rows
};

/// A weight matrix Q on its way down trace(E H' E^T), one column after the other.
///
/// A block of columns is descended by the kernel with its own part of the gradient G = E H', which
/// is computed before it. Once all of G was needed, it is kept instead: it takes the block's
/// changes. Either is one product, so a sweep costs rows * N^2 multiply-adds.
class Descent {
 public:
  /// \param weight     Q (rows, N) float32, zero where pruned; changed in place.
  /// \param pruned     (rows, N) bool; changed in place by the sweeps that choose a support.
  /// \param blocksize  columns that are descended together.
  Descent(torch::Tensor weight, torch::Tensor pruned, const Problem& problem,
          std::int64_t blocksize);

  /// Lowers trace(E H' E^T) + threshold * |kept|: every weight takes its best value w*, or 0 where
  /// H'_jj w*^2 is at most the threshold.
  void sweep_support(float threshold);
  /// Moves values and exchanges pruned and kept weights within every M columns of a row.
  void sweep_pattern(kernels::NmPattern pattern);
  /// Moves every kept weight to the grid value that is best for it.
  /// \param codes  undefined for a grid of levels.
  void sweep_codes(const quant::Grid& grid, const torch::Tensor& codes);

  /// Least-squares scales for the codes as they are, group after group:
  ///
  ///     ds = - c (E H')_g^T / (c H'_gg c^T),  c = codes - zero point
  ///
  /// A scale falls to 0.3 of its value at most, is rounded as it is stored and changes only where
  /// that lowers the error.
  void step_scales(quant::Grid& grid, const torch::Tensor& codes,
                   std::optional<int> scale_exponent);

  /// The same of a grid of levels, whose row steps change.
  void step_rows(quant::LevelGrid& grid);

  /// H'_jj w*^2 of every weight, (rows, N): what zeroing it would cost if it stood at its best.
  [[nodiscard]] torch::Tensor scores();
  /// [E H' E^T]_rr of every row, (rows) float64.
  [[nodiscard]] torch::Tensor row_errors();

 private:
  /// E H', from now on kept.
  torch::Tensor& gradient();
  void sweep(kernels::DescentBlock request, const quant::Grid* grid, const torch::Tensor* codes);
  struct Group {
    std::int64_t index;
    torch::Tensor columns;
  };
  void step_block_group(quant::Grid& grid, std::int64_t group, const torch::Tensor& levels);
  void step_group(quant::Grid& grid, const Group& group, const torch::Tensor& codes,
                  std::optional<int> scale_exponent);
  void move_scales(const torch::Tensor& scale, const torch::Tensor& steps,
                   const torch::Tensor& columns, std::optional<int> scale_exponent);

  torch::Tensor weight_;
  torch::Tensor pruned_;
  Problem problem_;
  std::int64_t blocksize_;
  torch::Tensor error_;     // (rows, N): E, while there is no gradient
  torch::Tensor gradient_;  // (rows, N): E H'
};

/// Descent::scores() of each.
[[nodiscard]] std::vector<torch::Tensor> scores_of(std::vector<Descent>& descents);

/// Conjugate gradients on the kept weights of every row, preconditioned by the diagonal: toward the
/// least trace(E H' E^T) with this support. Returns the new Q (rows, N); it is zero where pruned.
/// \param weight  Q to start from, zero where pruned.
/// Cost: (iterations + 1) * rows * N^2 multiply-adds; five (rows, N) temporaries.
[[nodiscard]] torch::Tensor refit(const torch::Tensor& weight, const torch::Tensor& pruned,
                                  const Problem& problem, std::int64_t iterations);

}  // namespace sgpt_mi::obs
