#include "measures.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "row_products.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kPanel = 512;

/// trace(A H A^T) on the device, a float64 without dimensions; does not wait.
torch::Tensor trace_of(const torch::Tensor& matrix, const torch::Tensor& hessian) {
  const std::int64_t columns = matrix.size(1);
  torch::Tensor trace = at::zeros({}, matrix.options().dtype(torch::kFloat64));
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    const torch::Tensor panel = matrix.narrow(1, first, width);
    const torch::Tensor column = hessian.narrow(1, first, width);
    torch::Tensor product = panel.matmul(column.narrow(0, first, width));
    // H is symmetric: the blocks above the diagonal stand for those below it as well.
    if (first > 0) product.addmm_(matrix.narrow(1, 0, first), column.narrow(0, 0, first), 1, 2);
    trace.add_(product.mul_(panel).sum(torch::kFloat64));
  }
  return trace;
}

/// Traces by product of rows, one after the other: summed by sum_of().
using Traces = std::vector<torch::Tensor>;

void add_traces(Traces& traces, const torch::Tensor& matrix, const torch::Tensor& hessian,
                std::int64_t product_rows) {
  for_each_product(matrix.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
    traces.push_back(trace_of(matrix.narrow(0, first, rows), hessian));
  });
}

double sum_of(const Traces& traces) {
  double sum = 0.0;
  for (const torch::Tensor& trace : traces) sum += trace.item<double>();
  return sum;
}

}  // namespace

double quadratic_trace(const torch::Tensor& matrix, const torch::Tensor& hessian) {
  return trace_of(matrix, hessian).item<double>();
}

void measure(CompressResult& result, const RowSplit& split, const std::vector<RowChange>& changes,
             const PreparedInput& input, const std::string& name) {
  Traces errors;
  Traces energies;
  split.each([&](std::size_t part) {
    const auto& [before, after] = changes[part];
    const torch::Tensor& hessian = split.input_of(part, input).hessian;
    add_traces(errors, after - before, hessian, split.product_rows());
    add_traces(energies, before, hessian, split.product_rows());
  });
  result.output_error = sum_of(errors);
  result.output_energy = sum_of(energies);
  const torch::Tensor& weight = result.matrix.weight;
  result.sparsity = weight.eq(0).sum().item<double>() / static_cast<double>(weight.numel());
  result.dead_channels = input.hessian.diagonal().eq(0).sum().item<std::int64_t>();
  if (!std::isfinite(result.output_error)) {
    fail(ErrorKind::kNumeric,
         "obs: the compressed weights of {} are not finite; the original ones or their inputs are "
         "too large for float32; check the checkpoint",
         name);
  }
}

}  // namespace sgpt_mi::obs
