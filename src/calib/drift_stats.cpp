#include "sgpt_mi/calib/drift_stats.h"

#include <ATen/ops/count_nonzero.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "channel_scan.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/bfloat16_product.h"
#include "sgpt_mi/cpu_kernels/rounded_difference.h"
#include "sgpt_mi/cpu_kernels/sparse_second_moment.h"
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

/// sum (N, M) += difference (tokens, N)^T x (tokens, M), difference in float32. In this order
/// LibTorch calls the product as it is; a transposed copy or panels of the sum only cost time
/// (measured at 768 to 3,072 channels). Beside an x of a 16-bit type the difference is rounded to
/// that type: it is the difference of two numbers that were rounded to it before, which is far more
/// than it loses itself.
void add_drift_product(const torch::Tensor& difference, const torch::Tensor& x,
                       torch::Tensor& sum) {
  add_product(difference.to(x.scalar_type()), x, sum);
}

/// Whether the CPU multiplies the rounded difference of two such streams with x itself.
bool by_bfloat16(const torch::Tensor& dense, const torch::Tensor& drifted, const torch::Tensor& x) {
  const auto fits = [](const torch::Tensor& tensor) {
    return tensor.is_cpu() && tensor.scalar_type() == torch::kBFloat16;
  };
  return fits(dense) && fits(drifted) && fits(x) && cpu_kernels::multiplies_bfloat16();
}

/// The rounded difference of two streams of bfloat16.
struct StreamDifference {
  torch::Tensor rounded;  ///< (tokens, N)
  cpu_kernels::DifferenceScan scan;
};

/// Sequences of x (B, T, N) that one product takes: all, or one where they do not lie next to each
/// other and each is long enough for a product of its own, so that none is copied.
std::int64_t sequences_at_once(const torch::Tensor& x) {
  constexpr std::int64_t kLong = 512;  // the tokens whose products the kernels keep in registers
  return x.is_contiguous() || x.size(1) < kLong ? x.size(0) : 1;
}

StreamDifference difference_of(const torch::Tensor& dense, const torch::Tensor& drifted) {
  const torch::Tensor from = stored_rows(dense);
  const torch::Tensor taken = stored_rows(drifted);
  StreamDifference difference{at::empty_like(from), {}};
  difference.scan =
      cpu_kernels::rounded_difference(const_bits_of(from), const_bits_of(taken),
                                      bits_of(difference.rounded), quant::backend_of(from));
  return difference;
}

/// add_drift_product() by the CPU's instructions for bfloat16.
void add_bfloat16(const StreamDifference& difference, const torch::Tensor& tokens,
                  const torch::Tensor& sum) {
  cpu_kernels::add_bfloat16_product(const_bits_of(difference.rounded), const_bits_of(tokens),
                                    quant::view_of<float>(sum), quant::backend_of(tokens));
}

void add_sparse(const torch::Tensor& difference, const torch::Tensor& tokens,
                const torch::Tensor& sum) {
  cpu_kernels::add_sparse_product(quant::view_of<const float>(difference),
                                  quant::view_of<const float>(tokens), quant::view_of<float>(sum),
                                  quant::backend_of(tokens));
}

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

DriftAccumulator::DriftAccumulator(std::string name, std::int64_t channels, torch::Device device)
    : name_(std::move(name)), channels_(channels), device_(device) {
  start();
}

void DriftAccumulator::start() {
  stats_ = {};
  stats_.cross_sum = at::zeros({channels_, channels_},
                               torch::TensorOptions().device(device_).dtype(torch::kFloat32));
}

void DriftAccumulator::add(const torch::Tensor& x_dense, const torch::Tensor& x) {
  ensure(x.dim() == 3 && x.size(2) == channels_ && x_dense.sizes() == x.sizes(),
         "calib: the inputs of a drift are not two of (sequences, tokens, N)");
  if (!stats_.cross_sum.defined()) start();
  stats_.sequences += x.size(0);
  if (x_dense.is_same(x) || x.numel() == 0) return;
  if (by_bfloat16(x_dense, x, x)) {
    add_in_bfloat16(x_dense, x);
  } else {
    add_single(x_dense, x);
  }
}

void DriftAccumulator::add_in_bfloat16(const torch::Tensor& x_dense, const torch::Tensor& x) {
  const std::int64_t step = sequences_at_once(x);
  for (std::int64_t first = 0; first < x.size(0); first += step) {
    const torch::Tensor dense = x_dense.narrow(0, first, step);
    const torch::Tensor drifted = x.narrow(0, first, step);
    const StreamDifference difference = difference_of(dense, drifted);
    const cpu_kernels::DifferenceScan& scan = difference.scan;
    if (!scan.finite) fail_not_finite("the input of " + name_, x_dense, x);
    if (scan.nonzeros == 0) continue;
    stats_.abs_sum += scan.abs_sum;
    const torch::Tensor tokens = stored_rows(drifted);
    if (mostly_zeros(difference.rounded, scan.nonzeros, tokens)) {
      add_sparse(token_rows(dense) - token_rows(drifted), token_rows(drifted), stats_.cross_sum);
    } else {
      add_bfloat16(difference, tokens, stats_.cross_sum);
    }
  }
}

void DriftAccumulator::add_single(const torch::Tensor& x_dense, const torch::Tensor& x) {
  const torch::Tensor tokens = product_rows(x);
  const torch::Tensor difference = token_rows(x_dense) - tokens;
  ChannelFigures figures = zero_figures(channels_, x.device());
  const cpu_kernels::ChannelScan scan = add_figures(difference, figures);
  if (!scan.finite) fail_not_finite("the input of " + name_, x_dense, x);
  if (scan.nonzeros == 0) return;
  stats_.abs_sum += figures.abs_sum.sum().item<double>();
  if (mostly_zeros(difference, scan.nonzeros, tokens)) {
    add_sparse(difference, tokens, stats_.cross_sum);
  } else {
    add_drift_product(difference, tokens, stats_.cross_sum);
  }
}

void DriftAccumulator::add_residual(const torch::Tensor& residual_dense,
                                    const torch::Tensor& residual, const torch::Tensor& x) {
  ensure(residual.dim() == 3 && residual_dense.sizes() == residual.sizes() && x.dim() == 3 &&
             x.size(0) == residual.size(0) && x.size(1) == residual.size(1) &&
             x.size(2) == channels_ && stats_.cross_sum.defined(),
         "calib: the residual streams of a drift are not two of (sequences, tokens, R)");
  if (residual_dense.is_same(residual) || residual.numel() == 0) return;
  torch::Tensor& sum = stats_.residual_sum;
  if (!sum.defined()) {
    sum = at::zeros({residual.size(2), x.size(2)}, stats_.cross_sum.options());
  }
  if (by_bfloat16(residual_dense, residual, x)) {
    const std::int64_t step = sequences_at_once(x);
    for (std::int64_t first = 0; first < x.size(0); first += step) {
      const auto part = [&](const torch::Tensor& all) { return all.narrow(0, first, step); };
      const StreamDifference difference = difference_of(part(residual_dense), part(residual));
      if (!difference.scan.finite) {
        fail_not_finite("the residual stream at " + name_, residual_dense, residual);
      }
      add_bfloat16(difference, stored_rows(part(x)), sum);
    }
    return;
  }
  const torch::Tensor difference = token_rows(residual_dense) - token_rows(residual);
  // One NaN or infinity anywhere shows in the sum.
  if (!at::isfinite(difference.sum()).item<bool>()) {
    fail_not_finite("the residual stream at " + name_, residual_dense, residual);
  }
  add_drift_product(difference, product_rows(x), sum);
}

std::vector<torch::Tensor> DriftAccumulator::take() {
  if (!stats_.cross_sum.defined()) start();
  const DriftStats taken = std::exchange(stats_, {});
  return {taken.cross_sum, taken.residual_sum, torch::tensor({taken.sequences}, torch::kInt64),
          torch::tensor({taken.abs_sum}, torch::kFloat64)};
}

DriftStats DriftAccumulator::stats_of(const std::vector<torch::Tensor>& total) {
  return {total[0], total[1], total[2].item<std::int64_t>(), total[3].item<double>()};
}

}  // namespace sgpt_mi::calib
