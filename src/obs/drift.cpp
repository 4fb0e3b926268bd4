#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "column_order.h"
#include "row_products.h"
#include "row_split.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::obs {

DriftTarget correct_drift(const torch::Tensor& weight, const PreparedInput& input,
                          const std::vector<DriftMoments>& halves, double limit,
                          const CompressOptions& options) {
  ensure(!halves.empty(), "obs: a drift correction without an estimate of the drift");
  CompressOptions on_one = options;
  on_one.rows.devices.clear();
  const RowSplit split(weight, on_one);
  const std::int64_t together = split.product_rows();
  const auto own_rows = [&](const torch::Tensor& all) { return split.scatter(all).front(); };
  const torch::Tensor before = own_rows(weight).to(torch::kFloat32);
  const ColumnOrder order = order_of(input);
  double sequences = 0.0;
  for (const DriftMoments& half : halves) sequences += static_cast<double>(half.sequences);
  std::vector<torch::Tensor> whitened;  // D U^T, with H'^-1 = U^T U
  torch::Tensor mean = at::zeros_like(before);
  for (const DriftMoments& half : halves) {
    torch::Tensor moved = multiply(before, half.cross, together);
    if (half.residual.defined()) moved.add_(own_rows(half.residual));
    whitened.push_back(multiply(order.apply(moved, 1), input.upper.t(), together));
    mean.add_(whitened.back(), static_cast<double>(half.sequences) / sequences);
  }
  double share = 1.0;
  if (whitened.size() == 2) {
    const auto sum_of = [&](const torch::Tensor& products) {
      torch::Tensor rows = row_sums_float64(products, together);
      return split.gather([&](std::size_t /*part*/) { return std::move(rows); })
          .sum()
          .item<double>();
    };
    const double common = sum_of(whitened[0] * whitened[1]);
    const double energy = sum_of(mean.square());
    share = energy > 0.0 ? std::clamp(common / energy, 0.0, 1.0) : 0.0;
  }
  const torch::Tensor correction = order.undo(multiply(mean, input.upper, together), 1);
  torch::Tensor target = before + correction.mul_(limit * share);
  return {split.gather([&](std::size_t /*part*/) { return std::move(target); }), limit * share};
}

}  // namespace sgpt_mi::obs
