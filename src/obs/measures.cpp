#include "measures.h"

#include <algorithm>
#include <cmath>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::obs {
namespace {

constexpr std::int64_t kPanel = 512;

}  // namespace

double quadratic_trace(const torch::Tensor& matrix, const torch::Tensor& hessian) {
  const std::int64_t columns = matrix.size(1);
  double trace = 0.0;
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    const torch::Tensor panel = matrix.narrow(1, first, width);
    const torch::Tensor column = hessian.narrow(1, first, width);
    torch::Tensor product = panel.matmul(column.narrow(0, first, width));
    // H is symmetric: the blocks above the diagonal stand for those below it as well.
    if (first > 0) product.addmm_(matrix.narrow(1, 0, first), column.narrow(0, 0, first), 1, 2);
    trace += product.mul_(panel).sum(torch::kFloat64).item<double>();
  }
  return trace;
}

void measure(CompressResult& result, const torch::Tensor& before, const torch::Tensor& hessian,
             const std::string& name) {
  const torch::Tensor& after = result.matrix.weight;
  result.sparsity = after.eq(0).sum().item<double>() / static_cast<double>(after.numel());
  result.output_error = quadratic_trace(after - before, hessian);
  result.output_energy = quadratic_trace(before, hessian);
  result.dead_channels = hessian.diagonal().eq(0).sum().item<std::int64_t>();
  if (!std::isfinite(result.output_error)) {
    fail(ErrorKind::kNumeric,
         "obs: the compressed weights of {} are not finite; the original ones or their inputs are "
         "too large for float32; check the checkpoint",
         name);
  }
}

}  // namespace sgpt_mi::obs
