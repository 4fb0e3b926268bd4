#include <ATen/ops/diag.h>
#include <benchmark/benchmark.h>

#include "sgpt_mi/cluster/clustering.h"
#include "sgpt_mi/mi/gaussian.h"
#include "sgpt_mi/mi/sampled.h"
#include "support/random_tensor.h"

namespace sgpt_mi {
namespace {

constexpr std::int64_t kTokens = 2048;

/// (tokens, N) samples. planted: every channel follows one of 10 factors, with noise, so that there
/// are clusters to find. Otherwise 64 factors of falling strength, mixed at random: eigenvalues
/// without a gap, the slow case.
torch::Tensor samples(std::int64_t tokens, std::int64_t channels, bool planted) {
  const std::int64_t factors = planted ? 10 : 64;
  torch::Tensor mixing = at::zeros({factors, channels});
  if (planted) {
    for (std::int64_t c = 0; c < channels; ++c) mixing[c % factors][c] = 1.0;
  } else {
    mixing = test::normal(factors, channels, 1) /
             at::arange(1, factors + 1, torch::kFloat32).sqrt().unsqueeze(1);
  }
  return test::normal(tokens, factors, 2).matmul(mixing) + test::normal(tokens, channels, 3);
}

struct Sums {
  torch::Tensor second_moment;
  torch::Tensor channel;
};

Sums sums_of(const torch::Tensor& x) { return {x.t().matmul(x), x.to(torch::kFloat64).sum(0)}; }

mi::MiMatrix gaussian_of(const Sums& sums) {
  return mi::gaussian_mi(sums.second_moment, sums.channel, kTokens);
}

/// H to the affinity. Argument: channels. Rate: elements of H.
void gaussian_mi(benchmark::State& state) {
  const std::int64_t channels = state.range(0);
  const Sums sums = sums_of(samples(kTokens, channels, true));
  for (auto _ : state) benchmark::DoNotOptimize(gaussian_of(sums));
  state.SetItemsProcessed(state.iterations() * channels * channels);
}
BENCHMARK(gaussian_mi)
    ->Arg(256)
    ->Arg(768)
    ->Arg(1024)
    ->Arg(3072)
    ->Arg(13824)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Samples to the affinity. Arguments: channels, tokens. Rate: pairs.
void sampled_mi(benchmark::State& state, mi::Estimator estimator) {
  const std::int64_t channels = state.range(0);
  const torch::Tensor x = samples(state.range(1), channels, false);
  for (auto _ : state) benchmark::DoNotOptimize(mi::sampled_mi(x, estimator));
  state.SetItemsProcessed(state.iterations() * channels * (channels - 1) / 2);
}
BENCHMARK_CAPTURE(sampled_mi, histogram, mi::Estimator::kHistogram)
    ->Args({256, 1024})
    ->Args({1024, 1024})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_mi, kde, mi::Estimator::kKde)
    ->Args({256, 512})
    ->Args({256, 1024})
    ->Args({1024, 512})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sampled_mi, ksg, mi::Estimator::kKsg)
    ->Args({256, 512})
    ->Args({256, 1024})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// H to labels of 10 groups and their measures. Argument: channels.
void cluster_channels(benchmark::State& state, cluster::Method method, bool planted,
                      std::int64_t groups) {
  const Sums sums = sums_of(samples(kTokens, state.range(0), planted));
  cluster::ClusterOptions options;
  options.method = method;
  options.groups = groups;
  cluster::Clustering result;
  for (auto _ : state) {
    result = cluster::cluster_affinity(gaussian_of(sums).normalized, options);
  }
  state.counters["groups"] = static_cast<double>(result.groups);
  state.counters["silhouette"] = result.silhouette;
}

void growth(benchmark::internal::Benchmark* bench, std::int64_t largest) {
  for (const std::int64_t channels : {256, 512, 1024, 2048, 4096, 8192, 13824}) {
    if (channels <= largest) bench->Arg(channels);
  }
  bench->UseRealTime()->Unit(benchmark::kMillisecond);
}
void to_13824(benchmark::internal::Benchmark* bench) { growth(bench, 13824); }
void to_4096(benchmark::internal::Benchmark* bench) { growth(bench, 4096); }

BENCHMARK_CAPTURE(cluster_channels, spectral, cluster::Method::kSpectral, true, 10)
    ->Apply(to_13824);
BENCHMARK_CAPTURE(cluster_channels, spectral_no_gap, cluster::Method::kSpectral, false, 10)
    ->Apply(to_13824);
BENCHMARK_CAPTURE(cluster_channels, spectral_auto, cluster::Method::kSpectral, true, 0)
    ->Apply(to_4096);
BENCHMARK_CAPTURE(cluster_channels, spectral_auto_no_gap, cluster::Method::kSpectral, false, 0)
    ->Apply(to_4096);
BENCHMARK_CAPTURE(cluster_channels, hierarchical, cluster::Method::kHierarchical, true, 10)
    ->Apply(to_4096);
BENCHMARK_CAPTURE(cluster_channels, kmeans, cluster::Method::kKMeans, true, 10)->Apply(to_4096);
BENCHMARK_CAPTURE(cluster_channels, kmeans_no_gap, cluster::Method::kKMeans, false, 10)
    ->Apply(to_4096);

}  // namespace
}  // namespace sgpt_mi

BENCHMARK_MAIN();
