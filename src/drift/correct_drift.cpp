#include "sgpt_mi/drift/correct_drift.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/obs/column_order.h"
#include "sgpt_mi/obs/row_products.h"
#include "sgpt_mi/obs/row_split.h"

namespace sgpt_mi::drift {
namespace {

/// Rows from which the share of the drift that both halves have is known well enough: each gives
/// N products.
constexpr std::int64_t kShareRows = 64;
constexpr std::int64_t kShareTurn = 37;  // prime to the sizes of heads

double sequences_of(const std::vector<DriftMoments>& halves) {
  double count = 0.0;
  for (const DriftMoments& half : halves) count += static_cast<double>(half.sequences);
  return count;
}

/// The mean of what the halves have, each weighted by its sequences; what is undefined is 0.
torch::Tensor mean_of(const std::vector<DriftMoments>& halves, torch::Tensor DriftMoments::*part) {
  const double all = sequences_of(halves);
  torch::Tensor mean;
  for (const DriftMoments& half : halves) {
    if (!(half.*part).defined()) continue;
    const double share = static_cast<double>(half.sequences) / all;
    mean = mean.defined() ? mean.add_(half.*part, share) : half.*part * share;
  }
  return mean;
}

/// D H'^-1, with H'^-1 = U^T U in the order of the sweep. D (rows, N).
torch::Tensor divided(const torch::Tensor& moved, const obs::PreparedInput& input,
                      std::int64_t product_rows) {
  const obs::ColumnOrder order = obs::order_of(input);
  const torch::Tensor whitened =
      obs::multiply_upper(order.apply(moved, 1), input.upper, product_rows, /*transposed=*/true);
  return order.undo(obs::multiply_upper(whitened, input.upper, product_rows, /*transposed=*/false),
                    1);
}

/// sum <D_1, D_2> / sum |D|^2 over rows that stand for all, D the mean of the halves' D_i, in
/// [0, 1]; of one half 1. Every rank computes it.
double common_share(const torch::Tensor& weight, const obs::PreparedInput& input,
                    const std::vector<DriftMoments>& halves) {
  if (halves.size() != 2) return 1.0;
  const std::int64_t count = std::min(weight.size(0), kShareRows);
  const auto options = torch::TensorOptions().device(weight.device()).dtype(torch::kInt64);
  // One row of every run of neighbours, at another place in each: heads begin at equal distances.
  const torch::Tensor number = at::arange(count, options);
  const std::int64_t run = weight.size(0) / count;
  const torch::Tensor rows =
      (number * weight.size(0)).floor_divide(count) + (number * kShareTurn).remainder(run);
  const torch::Tensor sample = weight.index_select(0, rows).to(torch::kFloat32);
  const obs::ColumnOrder order = obs::order_of(input);
  const double all = sequences_of(halves);
  std::vector<torch::Tensor> whitened;  // D U^T, with H'^-1 = U^T U
  torch::Tensor mean = at::zeros_like(sample);
  for (const DriftMoments& half : halves) {
    torch::Tensor moved = sample.mm(half.cross);
    if (half.residual.defined()) moved.add_(half.residual.index_select(0, rows));
    whitened.push_back(order.apply(moved, 1).mm(input.upper.t()));
    mean.add_(whitened.back(), static_cast<double>(half.sequences) / all);
  }
  const auto sum_of = [](const torch::Tensor& x) {
    return x.to(torch::kFloat64).sum().item<double>();
  };
  const double common = sum_of(whitened[0] * whitened[1]);
  const double energy = sum_of(mean.square());
  return energy > 0.0 ? std::clamp(common / energy, 0.0, 1.0) : 0.0;
}

}  // namespace

SiteDrift prepare_drift(std::vector<DriftMoments> halves, const obs::PreparedInput& input,
                        std::int64_t rows) {
  ensure(!halves.empty(), "obs: a drift correction without an estimate of the drift");
  SiteDrift drift;
  drift.cross = mean_of(halves, &DriftMoments::cross);
  drift.residual = mean_of(halves, &DriftMoments::residual);
  drift.divided = !drift.residual.defined() && rows > drift.cross.size(0);
  if (drift.divided) drift.cross = divided(drift.cross, input, /*product_rows=*/0);
  drift.halves = std::move(halves);
  return drift;
}

DriftTarget correct_drift(const torch::Tensor& weight, const obs::PreparedInput& input,
                          const SiteDrift& drift, double limit,
                          const obs::CompressOptions& options) {
  obs::CompressOptions on_one = options;
  on_one.rows.devices.clear();
  const obs::RowSplit split(weight, on_one);
  const std::int64_t together = split.product_rows();
  const auto own_rows = [&](const torch::Tensor& all) { return split.scatter(all).front(); };
  const torch::Tensor before = own_rows(weight).to(torch::kFloat32);
  torch::Tensor correction = obs::multiply(before, drift.cross, together);
  if (drift.residual.defined()) correction.add_(own_rows(drift.residual));
  if (!drift.divided) correction = divided(correction, input, together);
  const double share = limit * common_share(weight, input, drift.halves);
  torch::Tensor target = correction.mul_(share).add_(before);
  return {split.gather([&](std::size_t /*part*/) { return std::move(target); }), share};
}

}  // namespace sgpt_mi::drift
