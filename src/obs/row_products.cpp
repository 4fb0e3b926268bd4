#include "row_products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>

namespace sgpt_mi::obs {

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
