#include <ATen/ops/argsort.h>
#include <ATen/ops/empty_like.h>

#include <utility>

#include "factor.h"
#include "input.h"
#include "measures.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"
#include "sweep.h"

namespace sgpt_mi::obs {
namespace {

/// An order of columns and its inverse; undefined tensors: the natural order.
struct ColumnOrder {
  torch::Tensor forward;  // (N) int64: column at each place of the sweep
  torch::Tensor back;     // (N) int64: place of each column

  [[nodiscard]] torch::Tensor apply(const torch::Tensor& tensor, std::int64_t dim) const {
    return forward.defined() ? tensor.index_select(dim, forward) : tensor;
  }
  [[nodiscard]] torch::Tensor undo(const torch::Tensor& tensor, std::int64_t dim) const {
    return back.defined() ? tensor.index_select(dim, back) : tensor;
  }
};

/// Columns by diag(H), the largest first; equal ones keep their order.
ColumnOrder order_by_activation(const torch::Tensor& hessian) {
  ColumnOrder order;
  order.forward = at::argsort(hessian.diagonal(), /*stable=*/true, /*dim=*/0, /*descending=*/true);
  order.back = at::argsort(order.forward);
  return order;
}

/// Grids along the way are for groups that take part in the updates; whole rows are fitted before.
bool fits_grids_in_sweep(const CompressOptions& options) {
  return options.quantizes() && options.groupsize != -1 && !options.static_groups;
}

CompressedMatrix compressed_matrix(const Sweep& sweep, const ColumnOrder& order) {
  CompressedMatrix matrix;
  matrix.weight = order.undo(sweep.weight(), 1);
  matrix.pruned = order.undo(sweep.pruned(), 1);
  const quant::Grid& grid = sweep.grid();
  if (!grid.scale.defined()) return matrix;
  matrix.codes = order.undo(sweep.codes(), 1);
  matrix.scale = grid.scale;
  matrix.zero_point = grid.zero_point;
  matrix.group_of_column = order.undo(grid.group_of_column, 0);
  matrix.bits_of_group = grid.bits_of_group;
  return matrix;
}

}  // namespace

CompressResult compress_sparsegpt(const torch::Tensor& weight, const torch::Tensor& hessian,
                                  const CompressOptions& options, const std::string& name) {
  check_input(weight, hessian, options, name);
  const torch::Tensor before = weight.to(torch::kFloat32);
  const torch::Tensor dead = hessian.diagonal().eq(0);
  torch::Tensor living = hessian.clone();
  living.diagonal().masked_fill_(dead, 1.0);

  ColumnOrder order;
  if (options.act_order) {
    order = order_by_activation(living);
    living = order.apply(order.apply(living, 0), 1);
  }
  Factor factor = factorize(living, options.percdamp, name);
  const torch::Tensor start = order.apply(before.masked_fill(dead, 0.0), 1).contiguous();
  Sweep sweep(start, factor.upper, options);
  if (fits_grids_in_sweep(options)) {
    sweep.fit_grids();
  } else if (options.quantizes()) {
    quant::Grid grid = quant::find_grid(before.contiguous(), grid_options(options));
    grid.group_of_column = order.apply(grid.group_of_column, 0);
    sweep.use_grid(std::move(grid));
  }
  sweep.run();

  CompressResult result;
  result.matrix = compressed_matrix(sweep, order);
  result.loss = sweep.loss();
  result.damping = std::move(factor.steps);
  measure(result, before, hessian, name);
  return result;
}

}  // namespace sgpt_mi::obs
