#include "measures.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/row_products.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kPanel = 512;

/// The diagonal of A H A^T on the device, (rows) float64; does not wait.
torch::Tensor diagonal_of(const torch::Tensor& matrix, const torch::Tensor& hessian) {
  const std::int64_t columns = matrix.size(1);
  torch::Tensor diagonal = at::zeros({matrix.size(0)}, matrix.options().dtype(torch::kFloat64));
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    const torch::Tensor panel = matrix.narrow(1, first, width);
    const torch::Tensor column = hessian.narrow(1, first, width);
    torch::Tensor product = panel.matmul(column.narrow(0, first, width));
    // H is symmetric: the blocks above the diagonal stand for those below it as well.
    if (first > 0) product.addmm_(matrix.narrow(1, 0, first), column.narrow(0, 0, first), 1, 2);
    diagonal.add_(product.mul_(panel).sum(1, /*keepdim=*/false, torch::kFloat64));
  }
  return diagonal;
}

/// Diagonals by product of rows, one after the other: joined by rows_of().
using Diagonals = std::vector<torch::Tensor>;

void add_diagonals(Diagonals& diagonals, const torch::Tensor& matrix, const torch::Tensor& hessian,
                   std::int64_t product_rows) {
  for_each_product(matrix.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
    diagonals.push_back(diagonal_of(matrix.narrow(0, first, rows), hessian));
  });
}

/// All rows of all ranks on the CPU.
torch::Tensor rows_of(Diagonals diagonals, const ranks::World& world) {
  for (torch::Tensor& diagonal : diagonals) diagonal = diagonal.to(torch::kCPU);
  return ranks::gather_rows(world, at::cat(diagonals), torch::kCPU);
}

}  // namespace

double quadratic_trace(const torch::Tensor& matrix, const torch::Tensor& hessian) {
  return diagonal_of(matrix, hessian).sum().item<double>();
}

void measure(CompressResult& result, const RowSplit& split, const std::vector<RowChange>& changes,
             const PreparedInput& input, const std::string& name) {
  Diagonals errors;
  Diagonals energies;
  split.each([&](std::size_t part) {
    const auto& [before, after] = changes[part];
    const torch::Tensor& hessian = split.input_of(part, input).hessian;
    add_diagonals(errors, after - before, hessian, split.product_rows());
    add_diagonals(energies, before, hessian, split.product_rows());
  });
  result.row_error = rows_of(std::move(errors), split.world());
  result.output_error = result.row_error.sum().item<double>();
  result.output_energy = rows_of(std::move(energies), split.world()).sum().item<double>();
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
