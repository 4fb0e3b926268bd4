#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "sgpt_mi/kernels/descend_block.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "support/random_tensor.h"

namespace sgpt_mi {
namespace {

constexpr std::int64_t kBlock = 128;

/// Coordinate descent over one block of 128 columns. Argument: rows. Rate: multiply-adds.
void descent(benchmark::State& state, kernels::Support support, bool rounds) {
  const std::int64_t rows = state.range(0);
  const torch::Tensor pruned =
      at::arange(kBlock).remainder(4).lt(2).expand({rows, kBlock}).contiguous();
  const torch::Tensor start = test::normal(rows, kBlock, 1).masked_fill(pruned, 0.0);
  const torch::Tensor gradient = test::normal(rows, kBlock, 2);
  const torch::Tensor hessian = test::correlated_hessian(kBlock, 2 * kBlock, 3).to(torch::kFloat32);
  const quant::Grid grid = quant::find_grid(start, {});
  const torch::Tensor weight = start.clone();
  const torch::Tensor mask = pruned.clone();
  const torch::Tensor codes = at::empty({rows, kBlock}, torch::kUInt8);
  kernels::DescentBlock block;
  block.weight = quant::view_of<float>(weight);
  block.gradient = quant::view_of<const float>(gradient);
  block.hessian = quant::view_of<const float>(hessian);
  block.pruned = quant::view_of<bool>(mask);
  block.support = support;
  if (support == kernels::Support::kThreshold) block.threshold = 0.5F;
  if (support == kernels::Support::kPattern) block.pattern = {2, 4};
  if (rounds) {
    block.grid = grid.view(0, rows);
    block.codes = quant::view_of<std::uint8_t>(codes);
  }
  for (auto _ : state) {
    weight.copy_(start);
    mask.copy_(pruned);
    kernels::descend_block(block, quant::backend_of(weight));
  }
  state.SetItemsProcessed(state.iterations() * rows * kBlock * (kBlock - 1) / 2);
}
BENCHMARK_CAPTURE(descent, kept, kernels::Support::kKept, false)
    ->Arg(768)
    ->Arg(3072)
    ->UseRealTime();
BENCHMARK_CAPTURE(descent, rounded, kernels::Support::kKept, true)
    ->Arg(768)
    ->Arg(3072)
    ->UseRealTime();
BENCHMARK_CAPTURE(descent, threshold, kernels::Support::kThreshold, false)
    ->Arg(768)
    ->Arg(3072)
    ->UseRealTime();
BENCHMARK_CAPTURE(descent, pattern, kernels::Support::kPattern, false)
    ->Arg(768)
    ->Arg(3072)
    ->UseRealTime();

/// The threshold of one block's scores. Argument: rows.
void threshold(benchmark::State& state) {
  const torch::Tensor score = test::normal(state.range(0), kBlock, 4).square();
  for (auto _ : state) {
    benchmark::DoNotOptimize(kernels::kth_smallest(
        {{score.data_ptr<float>(), score.numel(), quant::backend_of(score)}}, score.numel() / 2));
  }
  state.SetItemsProcessed(state.iterations() * score.numel());
}
BENCHMARK(threshold)->Arg(768)->Arg(2048)->UseRealTime();

/// Grids of a square matrix by clip search. Argument: rows and columns.
void clip_search(benchmark::State& state, quant::ClipSearch clip) {
  const torch::Tensor weight = test::normal(state.range(0), state.range(0), 5);
  quant::GridOptions options;
  options.clip = clip;
  for (auto _ : state) benchmark::DoNotOptimize(quant::find_grid(weight, options));
  state.SetItemsProcessed(state.iterations() * weight.numel());
}
BENCHMARK_CAPTURE(clip_search, gptq, quant::ClipSearch::kGptq)->Arg(768)->UseRealTime();
BENCHMARK_CAPTURE(clip_search, wide, quant::ClipSearch::kWide)->Arg(768)->UseRealTime();

/// One square matrix from H to the result, measures included. Argument: rows and columns.
void compress(benchmark::State& state, const obs::CompressOptions& options) {
  const std::int64_t columns = state.range(0);
  const torch::Tensor weight = test::normal(columns, columns, 6);
  const torch::Tensor hessian = test::correlated_hessian(columns, 2 * columns, 7);
  for (auto _ : state) {
    benchmark::DoNotOptimize(obs::compress_sparsegpt(weight, hessian, options, "bench"));
  }
  state.SetItemsProcessed(state.iterations() * weight.numel());
}

obs::CompressOptions half_pruned(int bits) {
  obs::CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = bits;
  return options;
}
BENCHMARK_CAPTURE(compress, prune_only, half_pruned(16))
    ->Arg(768)
    ->Arg(2048)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(compress, joint, half_pruned(4))
    ->Arg(128)
    ->Arg(768)
    ->Arg(2048)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sgpt_mi

BENCHMARK_MAIN();
