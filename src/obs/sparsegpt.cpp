#include <ATen/ops/argsort.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linspace.h>

#include <optional>
#include <utility>
#include <vector>

#include "input.h"
#include "measures.h"
#include "refine.h"
#include "sgpt_mi/obs/column_order.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/obs/row_split.h"
#include "sgpt_mi/quant/grid.h"
#include "sweep.h"

namespace sgpt_mi::obs {
namespace {

/// The sweep of some rows as it starts; the weights as given, on the device of the input.
Sweep new_sweep(const torch::Tensor& before, const PreparedInput& input,
                const CompressOptions& options, std::optional<int> scale_exponent) {
  const torch::Tensor dead = input.hessian.diagonal().eq(0);
  const ColumnOrder order = order_of(input);
  Sweep sweep(order.apply(before.masked_fill(dead, 0.0), 1).contiguous(), input.upper, options);
  if (fits_grids_in_sweep(options)) {
    sweep.fit_grids(scale_exponent);
  } else if (options.quantizes()) {
    quant::Grid grid = find_static_grid(before, options, scale_exponent);
    grid.group_of_column = order.apply(grid.group_of_column, 0).contiguous();
    sweep.use_grid(std::move(grid));
  }
  return sweep;
}

/// What the sweeps left, but for the weights.
CompressedMatrix compressed_matrix(const std::vector<Sweep>& sweeps, const RowSplit& split,
                                   const std::vector<ColumnOrder>& orders) {
  CompressedMatrix matrix;
  matrix.pruned =
      split.gather([&](std::size_t i) { return orders[i].undo(sweeps[i].pruned(), 1); });
  const quant::Grid& grid = sweeps.front().grid();
  if (!grid.scale.defined()) return matrix;
  matrix.codes = split.gather([&](std::size_t i) { return orders[i].undo(sweeps[i].codes(), 1); });
  matrix.scale = split.gather([&](std::size_t i) { return sweeps[i].grid().scale; });
  matrix.zero_point = split.gather([&](std::size_t i) { return sweeps[i].grid().zero_point; });
  take_blocks(matrix, split, [&](std::size_t i) -> const quant::Grid& { return sweeps[i].grid(); });
  matrix.group_of_column = orders.front().undo(grid.group_of_column, 0);
  matrix.bits_of_group = grid.bits_of_group;
  return matrix;
}

/// Of a symmetric, positive definite matrix of the size of `like`, as what it makes of a vector.
template <typename Product>
double largest_eigenvalue(const torch::Tensor& like, const Product& product) {
  constexpr int kIterations = 8;
  // Neither an axis nor a constant: those can be orthogonal to the vector that is sought.
  torch::Tensor x = at::linspace(1.0, 2.0, like.size(0), like.options());
  torch::Tensor length = x.norm();
  for (int i = 0; i < kIterations; ++i) {
    x = product(x / length);
    length = x.norm();
  }
  return length.item<double>();
}

}  // namespace

torch::Tensor PreparedInput::inverse_diagonal() const {
  const torch::Tensor diagonal = upper.square().sum(0, /*keepdim=*/false, torch::kFloat64);
  return order_of(*this).undo(diagonal, 0);
}

torch::Tensor PreparedInput::damped() const {
  torch::Tensor result = hessian.clone();
  result.diagonal().masked_fill_(hessian.diagonal().eq(0), 1.0);
  const double mean = result.diagonal().mean().item<double>();
  result.diagonal().add_(damping.back().percdamp * mean);
  return result;
}

double PreparedInput::condition() const {
  const torch::Tensor diagonal = hessian.diagonal();
  const torch::Tensor dead = diagonal.eq(0).to(hessian.scalar_type());
  const double shift = damping.back().percdamp * (diagonal + dead).mean().item<double>();
  const double largest = largest_eigenvalue(
      hessian, [&](const torch::Tensor& x) { return hessian.mv(x) + (dead + shift) * x; });
  const double largest_of_inverse = largest_eigenvalue(
      hessian, [&](const torch::Tensor& x) { return upper.t().mv(upper.mv(x)); });
  return largest * largest_of_inverse;
}

PreparedInput prepare_input(const torch::Tensor& hessian, const CompressOptions& options,
                            const std::string& name) {
  check_hessian(hessian, name);
  PreparedInput input;
  input.hessian = hessian;
  torch::Tensor living = hessian.clone();
  living.diagonal().masked_fill_(hessian.diagonal().eq(0), 1.0);
  if (options.act_order) {
    input.column_order =
        at::argsort(living.diagonal(), /*stable=*/true, /*dim=*/0, /*descending=*/true);
    living = living.index_select(0, input.column_order).index_select(1, input.column_order);
  }
  cholesky::Factor factor = cholesky::factorize(living, options.percdamp, name);
  input.upper = std::move(factor.upper);
  input.damping = std::move(factor.steps);
  copy_to_devices(input, options.rows);
  return input;
}

CompressResult compress_sparsegpt(const torch::Tensor& weight, const PreparedInput& input,
                                  const CompressOptions& options, const std::string& name) {
  check_input(weight, input.hessian, options, name);
  if (options.refine.any() || options.levels) return compress_refined(weight, input, options, name);
  const torch::Tensor before = weight.to(torch::kFloat32).contiguous();
  const std::optional<int> exponent = scale_exponent(before, options);
  const RowSplit split(before, options);
  const std::vector<torch::Tensor> rows = split.scatter(before);
  std::vector<torch::Tensor> weights(split.size());
  if (options.row_weight.defined()) weights = split.scatter(options.row_weight);
  std::vector<Sweep> sweeps;
  sweeps.reserve(split.size());
  split.each([&](std::size_t i) {
    sweeps.push_back(new_sweep(rows[i], split.input_of(i, input), options, exponent));
    if (weights[i].defined()) sweeps.back().weigh_masks(weights[i]);
  });
  Sweep::run(sweeps, split.world());

  std::vector<ColumnOrder> orders;
  std::vector<RowChange> changes;
  split.each([&](std::size_t i) {
    orders.push_back(order_of(split.input_of(i, input)));
    changes.push_back({rows[i], orders[i].undo(sweeps[i].weight(), 1)});
  });
  CompressResult result;
  result.matrix = compressed_matrix(sweeps, split, orders);
  result.matrix.weight = split.gather([&](std::size_t i) { return changes[i].after; });
  result.matrix.scale_exponent = exponent;
  result.loss =
      split.gather([&](std::size_t i) { return sweeps[i].row_loss(); }).sum().item<double>();
  result.damping = input.damping;
  measure(result, split, changes, input, name);
  return result;
}

CompressResult compress_sparsegpt(const torch::Tensor& weight, const torch::Tensor& hessian,
                                  const CompressOptions& options, const std::string& name) {
  check_input(weight, hessian, options, name);
  return compress_sparsegpt(weight, prepare_input(hessian, options, name), options, name);
}

}  // namespace sgpt_mi::obs
