#include "sgpt_mi/calib/drift_stats.h"

#include <ATen/ops/count_nonzero.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "channel_scan.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/kernels/sparse_second_moment.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::calib {
namespace {

/// Product of the shares of non-zeros of xd - x and of x up to which skipping the zeros is the
/// faster way to their product (measured at 768 and 3,072 channels: they break even between 0.015
/// and 0.02).
constexpr double kSparseShares = 0.015;

double share_of(std::int64_t count, const torch::Tensor& x) {
  return static_cast<double>(count) / static_cast<double>(x.numel());
}

/// Whether both of `difference`, with `nonzeros` of them, and x are mostly zeros, as after a ReLU.
bool mostly_zeros(const torch::Tensor& difference, std::int64_t nonzeros, const torch::Tensor& x) {
  const double share = share_of(nonzeros, difference);
  if (!x.is_cpu() || share > 0.5) return false;  // most often: the zeros of x need no counting
  return share * share_of(at::count_nonzero(x).item<std::int64_t>(), x) < kSparseShares;
}

/// sum (N, M) += difference (tokens, N)^T x (tokens, M). In this order LibTorch calls the product
/// as it is; a transposed copy or panels of the sum only cost time (measured at 768 to 3,072
/// channels).
void add_product(const torch::Tensor& difference, const torch::Tensor& x, torch::Tensor& sum) {
  sum.addmm_(difference.t(), x);
}

/// Whether both are 16-bit and on a device, which multiplies them an order of magnitude faster than
/// their difference in float32.
bool multiplies_halves(const torch::Tensor& x_dense, const torch::Tensor& x) {
  const auto is_half = [](const torch::Tensor& tensor) {
    return tensor.scalar_type() == torch::kFloat16 || tensor.scalar_type() == torch::kBFloat16;
  };
  return x.is_cuda() && is_half(x) && x.scalar_type() == x_dense.scalar_type();
}

/// sum (N, M) += (dense - drifted)^T x, all (tokens, ...) and 16-bit: two products whose terms are
/// exact and whose sums are float32, so their difference is off by float32 epsilons of the sums.
void add_half_products(const torch::Tensor& dense, const torch::Tensor& drifted,
                       const torch::Tensor& x, torch::Tensor& sum) {
  sum.add_(at::mm(dense.t(), x, torch::kFloat32).sub_(at::mm(drifted.t(), x, torch::kFloat32)));
}

torch::Tensor rows_of(const torch::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

torch::Tensor scaled(const torch::Tensor& sum, std::int64_t sequences) {
  ensure(sequences > 0, "calib: a drift was asked for before any sequence was seen");
  return sum.defined() ? sum * (2.0 / static_cast<double>(sequences)) : sum;
}

/// Names the value that made the difference of `dense` and `drifted` infinite or NaN.
[[noreturn]] void fail_not_finite(const std::string& what, const torch::Tensor& dense,
                                  const torch::Tensor& drifted) {
  require_finite_input(dense, what + " in the dense model");
  require_finite_input(drifted, what);
  fail(ErrorKind::kNumeric,
       "calib: {} differs so much from the dense model's that sums overflow; expected magnitudes "
       "of activations; check the model's weights",
       what);
}

}  // namespace

torch::Tensor DriftStats::cross() const { return scaled(cross_sum, sequences); }

torch::Tensor DriftStats::residual() const { return scaled(residual_sum, sequences); }

torch::Tensor DriftStats::mean_shift() const {
  ensure(tokens > 0, "calib: a drift was asked for before any token was seen");
  return shift_sum / static_cast<double>(tokens);
}

DriftAccumulator::DriftAccumulator(std::string name, std::int64_t channels, torch::Device device)
    : name_(std::move(name)) {
  const auto options = torch::TensorOptions().device(device).dtype(torch::kFloat32);
  stats_.cross_sum = at::zeros({channels, channels}, options);
  stats_.shift_sum = at::zeros({channels}, options.dtype(torch::kFloat64));
}

void DriftAccumulator::add(const torch::Tensor& x_dense, const torch::Tensor& x) {
  const std::int64_t channels = stats_.shift_sum.size(0);
  ensure(x.dim() == 3 && x.size(2) == channels && x_dense.sizes() == x.sizes(),
         "calib: the inputs of a drift are not two of (sequences, tokens, N)");
  stats_.tokens += x.size(0) * x.size(1);
  stats_.sequences += x.size(0);
  if (x_dense.is_same(x) || x.numel() == 0) return;
  const torch::Tensor tokens = token_rows(x);
  const torch::Tensor difference = token_rows(x_dense) - tokens;
  ChannelFigures figures = zero_figures(channels, x.device());
  const kernels::ChannelScan scan = add_figures(difference, figures);
  if (!scan.finite) fail_not_finite("the input of " + name_, x_dense, x);
  stats_.shift_sum += figures.sum;
  if (scan.nonzeros == 0) return;
  if (multiplies_halves(x_dense, x)) {
    add_half_products(rows_of(x_dense), rows_of(x), rows_of(x), stats_.cross_sum);
  } else if (mostly_zeros(difference, scan.nonzeros, tokens)) {
    kernels::add_sparse_product(quant::view_of<const float>(difference),
                                quant::view_of<const float>(tokens),
                                quant::view_of<float>(stats_.cross_sum), quant::backend_of(tokens));
  } else {
    add_product(difference, tokens, stats_.cross_sum);
  }
}

void DriftAccumulator::add_residual(const torch::Tensor& residual_dense,
                                    const torch::Tensor& residual, const torch::Tensor& x) {
  ensure(residual.dim() == 3 && residual_dense.sizes() == residual.sizes() && x.dim() == 3 &&
             x.size(0) == residual.size(0) && x.size(1) == residual.size(1) &&
             x.size(2) == stats_.shift_sum.size(0),
         "calib: the residual streams of a drift are not two of (sequences, tokens, R)");
  if (residual_dense.is_same(residual) || residual.numel() == 0) return;
  const torch::Tensor difference = token_rows(residual_dense) - token_rows(residual);
  // One NaN or infinity anywhere shows in the sum.
  if (!at::isfinite(difference.sum()).item<bool>()) {
    fail_not_finite("the residual stream at " + name_, residual_dense, residual);
  }
  torch::Tensor& sum = stats_.residual_sum;
  if (!sum.defined()) {
    sum = at::zeros({difference.size(1), x.size(2)}, stats_.cross_sum.options());
  }
  if (multiplies_halves(residual_dense, residual) && residual.scalar_type() == x.scalar_type()) {
    add_half_products(rows_of(residual_dense), rows_of(residual), rows_of(x), sum);
  } else {
    add_product(difference, token_rows(x), sum);
  }
}

DriftStats DriftAccumulator::finish() { return std::exchange(stats_, {}); }

}  // namespace sgpt_mi::calib
