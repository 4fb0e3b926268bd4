#include "sgpt_mi/mi/sampled.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "estimates.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/python_random.h"

namespace sgpt_mi::mi {
namespace {

/// Channels whose shuffled pairs measure bias_nats: 120 pairs.
constexpr std::int64_t kBiasChannels = 16;

std::int64_t bins_for(std::int64_t tokens, const SampledOptions& options) {
  if (options.bins > 0) return options.bins;
  const auto root = std::llround(std::cbrt(static_cast<double>(tokens)));
  return std::clamp<std::int64_t>(root, 2, 32);
}

void check_samples(const torch::Tensor& samples) {
  ensure(samples.dim() == 2 && samples.size(1) > 0 && samples.is_floating_point(),
         "mi: samples are not (tokens, N) floating point");
  const torch::Tensor finite = at::isfinite(samples).all(0);
  if (finite.all().item<bool>()) return;
  const auto channel = finite.logical_not().nonzero()[0][0].item<std::int64_t>();
  fail(ErrorKind::kNumeric,
       "mi: a sample of channel {} is not finite; expected finite activations; check the model's "
       "weights, or use --dtype float32",
       channel);
}

void check_cost(const torch::Tensor& samples, Estimator estimator, const SampledOptions& options) {
  const std::int64_t tokens = samples.size(0);
  const std::int64_t fewest = std::max<std::int64_t>(4, options.neighbors + 1);
  if (tokens < fewest) {
    fail(ErrorKind::kUsage, "mi: a sample of {} tokens; expected at least {}; calibrate with more",
         tokens, fewest);
  }
  const SampledCost cost = sampled_cost(samples.size(1), tokens, estimator);
  if (cost.core_seconds <= options.max_core_seconds) return;
  fail(ErrorKind::kUsage,
       "mi: {} on {} channels and {} tokens would take about {:.0f} core-seconds and {:.0f} MB; "
       "expected at most {:.0f} core-seconds; sample fewer tokens, allow more, or use --mi_method "
       "gaussian",
       estimator_name(estimator), samples.size(1), tokens, cost.core_seconds, cost.bytes / 1e6,
       options.max_core_seconds);
}

PairOutput zeroed_output(const torch::Tensor& samples, bool with_nats) {
  const std::int64_t channels = samples.size(1);
  const auto make = [&] { return at::zeros({channels, channels}, samples.options()); };
  PairOutput output;
  output.normalized = make();
  if (with_nats) output.nats = make();
  return output;
}

/// Mean estimate over all pairs of a few channels, the tokens of each in another random order.
double measured_bias(const torch::Tensor& samples, Estimator estimator,
                     const SampledOptions& options) {
  const std::int64_t tokens = samples.size(0);
  const std::int64_t channels = std::min(samples.size(1), kBiasChannels);
  if (channels < 2) return 0.0;
  PythonRandom random(options.seed);
  torch::Tensor shuffled = at::empty({tokens, channels}, samples.options());
  std::vector<std::int64_t> order(static_cast<std::size_t>(tokens));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t t = tokens - 1; t > 0; --t) {
      std::swap(order[static_cast<std::size_t>(t)],
                order[static_cast<std::size_t>(random.randint(0, t))]);
    }
    // Spread over the matrix, in case that neighbouring channels are of a kind.
    const std::int64_t channel = c * samples.size(1) / channels;
    const torch::Tensor places = at::tensor(order, torch::kInt64).to(samples.device());
    shuffled.select(1, c).copy_(samples.select(1, channel).index_select(0, places));
  }
  const PairOutput output = zeroed_output(shuffled, /*with_nats=*/true);
  if (estimator == Estimator::kKde) {
    kde_mi(shuffled, output);
  } else {
    ksg_mi(shuffled, options.neighbors, options.seed, output);
  }
  return output.nats.triu(1).sum().item<double>() /
         (0.5 * static_cast<double>(channels * (channels - 1)));
}

/// Row and column 0 for channels whose values are all equal; diagonal 0.
std::vector<std::int64_t> isolate_constants(const torch::Tensor& samples,
                                            const PairOutput& output) {
  const torch::Tensor constant = std::get<0>(samples.max(0)).eq(std::get<0>(samples.min(0)));
  for (const torch::Tensor& matrix : {output.normalized, output.nats}) {
    if (!matrix.defined()) continue;
    matrix.masked_fill_(constant, 0.0);
    matrix.masked_fill_(constant.unsqueeze(1), 0.0);
    matrix.diagonal().zero_();
  }
  const torch::Tensor places = constant.nonzero().flatten().to(torch::kCPU);
  return {places.data_ptr<std::int64_t>(), places.data_ptr<std::int64_t>() + places.numel()};
}

}  // namespace

void SampledOptions::validate() const {
  if (bins != 0 && (bins < 2 || bins > 256)) {
    fail(ErrorKind::kUsage,
         "mi: bins is {}; expected 2 to 256, or 0 for the cube root of the "
         "tokens",
         bins);
  }
  if (neighbors < 1) {
    fail(ErrorKind::kUsage, "mi: neighbors is {}; expected at least 1, usually 3", neighbors);
  }
  if (!(max_core_seconds > 0.0)) {
    fail(ErrorKind::kUsage, "mi: max_core_seconds is {}; expected a positive time",
         max_core_seconds);
  }
}

SampledCost sampled_cost(std::int64_t channels, std::int64_t tokens, Estimator estimator) {
  ensure(estimator != Estimator::kGaussian, "mi: gaussian takes no samples");
  const auto n = static_cast<double>(channels);
  const auto t = static_cast<double>(tokens);
  const double pairs = 0.5 * n * (n - 1.0);
  SampledCost cost;
  // Times per step as cluster_bench measures them on one core of a server (EPYC, 2.6 GHz).
  switch (estimator) {
    case Estimator::kHistogram:
      cost.core_seconds = pairs * t * 1.2e-9;
      cost.bytes = n * t;
      break;
    case Estimator::kKde:
      cost.core_seconds = n * n * t * (t * 3e-11 + 1e-9);
      cost.bytes = 4.0 * (3.0 * n * t + 3.0 * n * n);
      break;
    default:
      cost.core_seconds = pairs * t * (std::sqrt(t) * 1.8e-8 + 2.5e-7);
      cost.bytes = n * t * 24.0;
      break;
  }
  return cost;
}

MiMatrix sampled_mi(const torch::Tensor& samples, Estimator estimator,
                    const SampledOptions& options) {
  options.validate();
  check_samples(samples);
  check_cost(samples, estimator, options);
  const bool on_device = estimator == Estimator::kKde;
  const torch::Tensor values =
      samples.to(on_device ? samples.device() : torch::Device(torch::kCPU), torch::kFloat32);
  const PairOutput output = zeroed_output(values, options.with_nats);
  MiMatrix result;
  if (estimator == Estimator::kHistogram) {
    result.bias_nats = histogram_mi(values, bins_for(values.size(0), options), output);
  } else {
    result.bias_nats = measured_bias(values, estimator, options);
    if (on_device) {
      kde_mi(values, output);
    } else {
      ksg_mi(values, options.neighbors, options.seed, output);
    }
  }
  result.constant_channels = isolate_constants(values, output);
  result.normalized = output.normalized.to(samples.device());
  if (output.nats.defined()) result.nats = output.nats.to(samples.device());
  result.estimator = estimator;
  result.tokens = samples.size(0);
  return result;
}

}  // namespace sgpt_mi::mi
