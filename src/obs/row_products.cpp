#include "sgpt_mi/obs/row_products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>

#include <algorithm>

namespace sgpt_mi::obs {
namespace {

/// Columns of a panel of a triangular product: wide enough for the library's fastest kernels.
constexpr std::int64_t kPanelColumns = 256;

}  // namespace

std::int64_t product_count(std::int64_t rows, std::int64_t product_rows) {
  return product_rows > 0 ? (rows + product_rows - 1) / product_rows : 1;
}

torch::Tensor multiply(const torch::Tensor& a, const torch::Tensor& b, std::int64_t product_rows) {
  torch::Tensor result = at::empty({a.size(0), b.size(1)}, a.options());
  for_each_product(a.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
    torch::Tensor run = result.narrow(0, first, rows);
    at::mm_out(run, a.narrow(0, first, rows), b);
  });
  return result;
}

torch::Tensor multiply_upper(const torch::Tensor& a, const torch::Tensor& upper,
                             std::int64_t product_rows, bool transposed) {
  const std::int64_t columns = upper.size(0);
  torch::Tensor result = at::empty(a.sizes(), a.options());
  for (std::int64_t panel = 0; panel < columns; panel += kPanelColumns) {
    const std::int64_t width = std::min(kPanelColumns, columns - panel);
    // Columns `panel` and on of U^T start at row `panel`, those of U end with the panel.
    const std::int64_t begin = transposed ? panel : 0;
    const std::int64_t count = transposed ? columns - panel : panel + width;
    const torch::Tensor part = transposed
                                   ? upper.narrow(0, panel, width).narrow(1, begin, count).t()
                                   : upper.narrow(0, begin, count).narrow(1, panel, width);
    for_each_product(a.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
      torch::Tensor run = result.narrow(0, first, rows).narrow(1, panel, width);
      at::mm_out(run, a.narrow(0, first, rows).narrow(1, begin, count), part);
    });
  }
  return result;
}

void add_product(const torch::Tensor& sum, const torch::Tensor& a, const torch::Tensor& b,
                 std::int64_t product_rows, double alpha) {
  for_each_product(a.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
    sum.narrow(0, first, rows).addmm_(a.narrow(0, first, rows), b, 1, alpha);
  });
}

torch::Tensor row_sums(const torch::Tensor& a, std::int64_t product_rows) {
  torch::Tensor result = at::empty({a.size(0), 1}, a.options());
  for_each_product(a.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
    torch::Tensor run = result.narrow(0, first, rows);
    at::sum_out(run, a.narrow(0, first, rows), {1}, /*keepdim=*/true);
  });
  return result;
}

torch::Tensor row_sums_float64(const torch::Tensor& a, std::int64_t product_rows) {
  torch::Tensor result = at::empty({a.size(0)}, a.options().dtype(torch::kFloat64));
  for_each_product(a.size(0), product_rows, [&](std::int64_t first, std::int64_t rows) {
    torch::Tensor run = result.narrow(0, first, rows);
    at::sum_out(run, a.narrow(0, first, rows), {1}, /*keepdim=*/false, torch::kFloat64);
  });
  return result;
}

}  // namespace sgpt_mi::obs
