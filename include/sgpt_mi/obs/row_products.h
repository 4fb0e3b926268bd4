#pragma once

#include <torch/types.h>

#include <cstdint>

namespace sgpt_mi::obs {

/// RowPlacement::product_rows is a multiple of this, so that every product starts at an address
/// with the alignment of a tensor of its own.
constexpr std::int64_t kProductRowStep = 64;

/// Products that `rows` rows are cut into, at most `product_rows` rows each; 0: one for all.
[[nodiscard]] std::int64_t product_count(std::int64_t rows, std::int64_t product_rows);

// What a library computes by kernels that it chooses by the number of rows, cut into runs of at
// most `product_rows` rows (0: not cut), so that a row comes out the same whichever rows are with
// it. Matrices (rows, ...), on one device.

/// A B.
[[nodiscard]] torch::Tensor multiply(const torch::Tensor& a, const torch::Tensor& b,
                                     std::int64_t product_rows);
/// A U, or A U^T, for an upper triangular U (N, N): panel by panel of columns, without most of the
/// products by what lies below the diagonal.
[[nodiscard]] torch::Tensor multiply_upper(const torch::Tensor& a, const torch::Tensor& upper,
                                           std::int64_t product_rows, bool transposed);
/// sum += alpha A B, in place.
void add_product(const torch::Tensor& sum, const torch::Tensor& a, const torch::Tensor& b,
                 std::int64_t product_rows, double alpha = 1.0);
/// Sums over the columns, (rows, 1), of A's type.
[[nodiscard]] torch::Tensor row_sums(const torch::Tensor& a, std::int64_t product_rows);
/// Sums over the columns, (rows) float64.
[[nodiscard]] torch::Tensor row_sums_float64(const torch::Tensor& a, std::int64_t product_rows);

/// Runs work(first, rows) for every run of rows, in their order.
template <typename Work>
void for_each_product(std::int64_t rows, std::int64_t product_rows, const Work& work) {
  const std::int64_t step = product_rows > 0 ? product_rows : rows;
  for (std::int64_t first = 0; first < rows; first += step) {
    work(first, step < rows - first ? step : rows - first);
  }
}

}  // namespace sgpt_mi::obs
