#include "sgpt_mi/calib/layer_stats.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "channel_scan.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/cpu_kernels/bfloat16_product.h"
#include "sgpt_mi/cpu_kernels/second_moment.h"
#include "sgpt_mi/cpu_kernels/sparse_second_moment.h"
#include "sgpt_mi/quant/tensor_view.h"

namespace sgpt_mi::calib {
namespace {

/// Share of non-zeros up to which skipping the zeros is the faster way to the second moment
/// (measured at 768 channels, where they break even near one sixth).
constexpr double kSparseShare = 0.15;

/// Channels from which the symmetric kernel is worth it: narrower layers cost little either way,
/// and with LibTorch's product they keep to the reference's rounding (near-equal scores of small
/// models then fall on its side).
constexpr std::int64_t kKernelChannels = 1024;

/// Columns per panel of LibTorch's product, and of copies within the second moment. Only the blocks
/// on and above the diagonal are summed, so narrow panels save almost half of the work; wide layers
/// want wider ones for a fast product. On a GPU 8 panels leave 9/16 of it and are wide enough.
std::int64_t panel_width(const torch::Tensor& second_moment) {
  const std::int64_t channels = second_moment.size(0);
  constexpr std::int64_t kGpuPanels = 8;
  if (second_moment.is_cuda()) return std::max<std::int64_t>(256, channels / kGpuPanels);
  return channels <= 1024 ? 128 : 256;
}

/// H[:, panel] += x^T x[:, panel] for the rows of H down to the panel's last one.
void add_upper_products(const torch::Tensor& x, torch::Tensor& second_moment) {
  const std::int64_t channels = x.size(1);
  const std::int64_t panel = panel_width(second_moment);
  for (std::int64_t first = 0; first < channels; first += panel) {
    const std::int64_t width = std::min(panel, channels - first);
    const std::int64_t rows = first + width;
    add_product(x.narrow(1, 0, rows), x.narrow(1, first, width),
                second_moment.narrow(0, 0, rows).narrow(1, first, width));
  }
}

/// x (B, T, N) as a product takes it, (tokens, N).
torch::Tensor moment_rows(const torch::Tensor& x) {
  const bool by_bits = x.is_cpu() && x.scalar_type() == torch::kBFloat16;
  return by_bits && cpu_kernels::multiplies_bfloat16() ? stored_rows(x) : product_rows(x);
}

/// The dense product of moment_rows().
void add_dense(const torch::Tensor& tokens, torch::Tensor& second_moment) {
  if (!tokens.is_cpu()) return add_upper_products(tokens, second_moment);
  const kernels::MatrixView<float> sum = quant::view_of<float>(second_moment);
  const kernels::Backend backend = quant::backend_of(tokens);
  if (tokens.scalar_type() == torch::kBFloat16) {
    cpu_kernels::add_second_moment(const_bits_of(tokens), sum, backend);
  } else if (tokens.size(1) >= kKernelChannels) {
    cpu_kernels::add_second_moment(quant::view_of<const float>(tokens), sum, backend);
  } else {
    add_upper_products(tokens, second_moment);
  }
}

/// Makes H exactly symmetric: what lies below the diagonal becomes a copy of what lies above it.
void mirror_upper(torch::Tensor& second_moment) {
  const std::int64_t channels = second_moment.size(0);
  const std::int64_t panel = panel_width(second_moment);
  for (std::int64_t first = 0; first < channels; first += panel) {
    const std::int64_t width = std::min(panel, channels - first);
    const torch::Tensor rows = second_moment.narrow(0, first, width);
    const torch::Tensor diagonal = rows.narrow(1, first, width);
    diagonal.copy_(diagonal.triu() + diagonal.triu(1).t());
    rows.narrow(1, 0, first).copy_(second_moment.narrow(0, 0, first).narrow(1, first, width).t());
  }
}

[[noreturn]] void fail_not_finite(const std::string& name, const torch::Tensor& x) {
  require_finite_input(x, "the input of " + name);
  fail(ErrorKind::kNumeric,
       "calib: the inputs of {} are so large that their sums overflow; expected magnitudes of "
       "activations; check the model's weights",
       name);
}

}  // namespace

torch::Tensor LayerStats::hessian() const {
  ensure(sequences > 0, "calib: H was asked for before any sequence was seen");
  return second_moment_sum * (2.0 / static_cast<double>(sequences));
}

std::int64_t LayerStats::constant_channels() const {
  if (tokens == 0) return 0;
  // The float32 second moment is off by some float32 epsilons; a share of 1e-6 is above that.
  constexpr double kRoundingShare = 1e-6;
  const torch::Tensor mean_square =
      second_moment_sum.diagonal().to(torch::kFloat64) / static_cast<double>(tokens);
  const torch::Tensor mean = channel_sum / static_cast<double>(tokens);
  const torch::Tensor variance = mean_square - mean.square();
  return mean_square.gt(0)
      .logical_and_(variance.le(kRoundingShare * mean_square))
      .sum()
      .item<std::int64_t>();
}

std::int64_t LayerStats::massive_channels() const {
  constexpr double kMassive = 100.0;
  const torch::Tensor energy = second_moment_sum.diagonal();
  const torch::Tensor firing = energy.masked_select(energy.gt(0));
  if (firing.numel() == 0) return 0;
  return firing.gt(kMassive * firing.median().item<double>()).sum().item<std::int64_t>();
}

StatsAccumulator::StatsAccumulator(std::string name, std::int64_t channels, torch::Device device)
    : name_(std::move(name)), channels_(channels), device_(device) {
  start();
}

void StatsAccumulator::start() {
  stats_ = {};
  stats_.second_moment_sum = at::zeros(
      {channels_, channels_}, torch::TensorOptions().device(device_).dtype(torch::kFloat32));
  ChannelFigures zeros = zero_figures(channels_, device_);
  stats_.channel_sum = std::move(zeros.sum);
  stats_.channel_abs_sum = std::move(zeros.abs_sum);
  stats_.channel_abs_max = std::move(zeros.abs_max);
}

void StatsAccumulator::add(const torch::Tensor& x) {
  ensure(x.dim() == 3 && x.size(2) == channels_, "calib: inputs are not (sequences, tokens, N)");
  if (x.numel() == 0) return;
  if (!stats_.second_moment_sum.defined()) start();
  const torch::Tensor tokens = moment_rows(x);
  ChannelFigures figures{stats_.channel_sum, stats_.channel_abs_sum, stats_.channel_abs_max};
  const cpu_kernels::ChannelScan scan = add_figures(tokens, figures);
  stats_.channel_abs_max = figures.abs_max;
  if (!scan.finite) fail_not_finite(name_, x);
  const double share = static_cast<double>(scan.nonzeros) / static_cast<double>(tokens.numel());
  if (tokens.is_cpu() && share < kSparseShare) {
    cpu_kernels::add_sparse_second_moment(quant::view_of<const float>(token_rows(x)),
                                          quant::view_of<float>(stats_.second_moment_sum),
                                          quant::backend_of(tokens));
  } else {
    add_dense(tokens, stats_.second_moment_sum);
  }
  stats_.tokens += tokens.size(0);
  stats_.sequences += x.size(0);
}

ranks::LaneFigures StatsAccumulator::take() {
  if (!stats_.second_moment_sum.defined()) start();
  const torch::Tensor counts = torch::tensor({stats_.tokens, stats_.sequences}, torch::kInt64);
  const LayerStats taken = std::exchange(stats_, {});
  return {{taken.second_moment_sum, taken.channel_sum, taken.channel_abs_sum, counts},
          {taken.channel_abs_max}};
}

LayerStats StatsAccumulator::stats_of(ranks::LaneFigures total) {
  mirror_upper(total.sums[0]);
  const torch::Tensor counts = total.sums[3].to(torch::kCPU);
  return {total.sums[0],
          total.sums[1],
          total.sums[2],
          total.maxima[0],
          counts[0].item<std::int64_t>(),
          counts[1].item<std::int64_t>()};
}

}  // namespace sgpt_mi::calib
