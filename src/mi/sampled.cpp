#include "sgpt_mi/mi/sampled.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "estimates.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::mi {
namespace {

constexpr std::int64_t kNeighbors = 3;      // ksg: Kraskov et al. advise 2 to 4
constexpr std::int64_t kFewestSamples = 4;  // more than the neighbours

std::int64_t bins_for(std::int64_t tokens) {
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
  if (tokens < kFewestSamples) {
    fail(ErrorKind::kUsage, "mi: a sample of {} tokens; expected at least {}; calibrate with more",
         tokens, kFewestSamples);
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

/// Row and column 0 for channels whose values are all equal; diagonal 0.
void isolate_constants(const torch::Tensor& samples, const PairOutput& output) {
  const torch::Tensor constant = std::get<0>(samples.max(0)).eq(std::get<0>(samples.min(0)));
  for (const torch::Tensor& matrix : {output.normalized, output.nats}) {
    if (!matrix.defined()) continue;
    matrix.masked_fill_(constant, 0.0);
    matrix.masked_fill_(constant.unsqueeze(1), 0.0);
    matrix.diagonal().zero_();
  }
}

}  // namespace

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
  check_samples(samples);
  check_cost(samples, estimator, options);
  const bool on_device = estimator == Estimator::kKde;
  const torch::Tensor values =
      samples.to(on_device ? samples.device() : torch::Device(torch::kCPU), torch::kFloat32);
  const PairOutput output = zeroed_output(values, options.with_nats);
  if (estimator == Estimator::kHistogram) {
    histogram_mi(values, bins_for(values.size(0)), output);
  } else if (on_device) {
    kde_mi(values, output);
  } else {
    ksg_mi(values, kNeighbors, options.seed, output);
  }
  isolate_constants(values, output);
  MiMatrix result;
  result.normalized = output.normalized.to(samples.device());
  if (output.nats.defined()) result.nats = output.nats.to(samples.device());
  return result;
}

}  // namespace sgpt_mi::mi
