// How near the kernels come to the machine: `of_product` is the share of the rate that LibTorch's
// float32 matrix product reaches on the same threads, `of_memory` of the rate of a scaled copy.
// Above 1 the kernel does less than the count says (an upper triangle counts once) or has narrower
// types. The argument is N, the columns of the weight: 768, 5,120 and 13,824 are OPT-125M's,
// LLaMA-13B's and its MLP's. `layer` benchmarks take as many rows as columns.

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "machine_rate.h"
#include "obs/sweep.h"
#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/cholesky/factor.h"
#include "sgpt_mi/kernels/fit_grid.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/kernels/obs_block.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sgpt_mi/unpack/unpack_on.h"
#include "support/packed_examples.h"

namespace sgpt_mi::bench {
namespace {

constexpr std::int64_t kBlock = 128;
constexpr std::int64_t kRows = 1024;  // of a block: enough for all threads, little memory

double real(std::int64_t count) { return static_cast<double>(count); }

/// An upper factor that keeps errors in bounds over thousands of columns.
torch::Tensor upper_factor(std::int64_t columns) {
  torch::Tensor factor = normal_there(columns, columns, 2).mul_(0.02).triu_();
  factor.diagonal().abs_().add_(1.0);
  return factor;
}

/// Sums x x^T of 1,024 tokens.
void second_moment(benchmark::State& state, torch::ScalarType type) {
  constexpr std::int64_t kTokens = 1024;
  const std::int64_t columns = state.range(0);
  const torch::Tensor x = normal_there(kTokens, columns, 1).unsqueeze(0).to(type);
  calib::StatsAccumulator sums("bench", columns, place);
  for (auto _ : state) {
    sums.add(x);
    finish();
  }
  count_operations(state, real(kTokens) * real(columns) * real(columns + 1));
}
BENCHMARK_CAPTURE(second_moment, float32, torch::kFloat32)
    ->Arg(768)
    ->Arg(5120)
    ->Arg(13824)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(second_moment, bfloat16, torch::kBFloat16)
    ->Arg(768)
    ->Arg(5120)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// The column loop of one block of 128 columns of 1,024 rows; the same for every N.
void column_block(benchmark::State& state, bool rounds) {
  const torch::Tensor start = normal_there(kRows, kBlock, 1);
  const torch::Tensor weight = start.clone();
  const torch::Tensor factor = upper_factor(kBlock);
  const torch::Tensor pruned = normal_there(kRows, kBlock, 3).gt(0);
  const torch::Tensor error = at::empty_like(weight);
  const torch::Tensor codes =
      at::empty({kRows, kBlock}, torch::TensorOptions(torch::kUInt8).device(place));
  const torch::Tensor row_loss =
      at::zeros({kRows}, torch::TensorOptions(torch::kFloat64).device(place));
  const quant::Grid grid = quant::find_grid(start, {});
  kernels::ObsBlock block;
  block.weight = quant::view_of<float>(weight);
  block.factor = quant::view_of<const float>(factor);
  block.pruned = quant::view_of<bool>(pruned);
  block.error = quant::view_of<float>(error);
  block.row_loss = row_loss.data_ptr<double>();
  if (rounds) {
    block.grid = grid.view(0, kRows);
    block.codes = quant::view_of<std::uint8_t>(codes);
  }
  for (auto _ : state) {
    weight.copy_(start);
    kernels::obs_block(block, quant::backend_of(weight));
    finish();
  }
  count_operations(state, real(kRows * kBlock * (kBlock - 1)));
}
BENCHMARK_CAPTURE(column_block, prune_only, false)->UseRealTime();
BENCHMARK_CAPTURE(column_block, joint, true)->UseRealTime();

/// What one block of 128 columns changes in the N columns behind it, 1,024 rows.
void tail(benchmark::State& state) {
  const std::int64_t columns = state.range(0);
  torch::Tensor weight = normal_there(kRows, columns, 1);
  const torch::Tensor error = normal_there(kRows, kBlock, 2);
  const torch::Tensor factor = normal_there(kBlock, columns, 3);
  for (auto _ : state) {
    weight.addmm_(error, factor, 1, -1);
    finish();
  }
  count_operations(state, 2.0 * real(kRows * kBlock) * real(columns));
}
BENCHMARK(tail)->Arg(768)->Arg(5120)->Arg(13824)->UseRealTime();

/// The whole sweep over a square layer: masks, column loops and tails. What the reference does
/// after its factorisation; `scripts/time_column_loop.py` sets both side by side.
void layer_sweep(benchmark::State& state, int bits) {
  const std::int64_t columns = state.range(0);
  const torch::Tensor start = normal_there(columns, columns, 1);
  const torch::Tensor upper = upper_factor(columns);
  obs::CompressOptions options;
  options.sparsity = 0.5;
  options.wbits = bits;
  for (auto _ : state) {
    std::vector<obs::Sweep> parts;
    parts.emplace_back(start.clone(), upper, options);
    if (bits < 16) parts.front().use_grid(quant::find_grid(start, {}));
    obs::Sweep::run(parts);
    benchmark::DoNotOptimize(parts.front().weight().data_ptr<float>());
    finish();
  }
  count_operations(state, real(columns) * real(columns) * real(columns));
}
BENCHMARK_CAPTURE(layer_sweep, prune_only, 16)
    ->Arg(768)
    ->Arg(3072)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(layer_sweep, joint, 4)
    ->Arg(768)
    ->Arg(3072)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// U from H.
void layer_factor(benchmark::State& state) {
  const std::int64_t columns = state.range(0);
  const torch::Tensor hessian = test::correlated_hessian(columns, 2 * columns, 1).to(place);
  for (auto _ : state) {
    benchmark::DoNotOptimize(cholesky::factorize(hessian, 0.01, "bench"));
    finish();
  }
  count_operations(state, real(columns) * real(columns) * real(columns) * 2.0 / 3.0);
}
BENCHMARK(layer_factor)
    ->Arg(768)
    ->Arg(3072)
    ->Arg(5120)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// The threshold of the scores of one block of 128 columns and N rows, read three times.
void threshold(benchmark::State& state) {
  const torch::Tensor score = normal_there(state.range(0), kBlock, 4).square();
  for (auto _ : state) {
    benchmark::DoNotOptimize(kernels::kth_smallest(
        {{score.data_ptr<float>(), score.numel(), quant::backend_of(score)}}, score.numel() / 2));
    finish();
  }
  count_bytes(state, 3.0 * sizeof(float) * real(score.numel()));
}
BENCHMARK(threshold)->Arg(768)->Arg(5120)->Arg(13824)->UseRealTime();

/// Grids of 1,024 rows of N weights, without and with the search for clipped ranges.
void grid(benchmark::State& state, quant::ClipSearch clip) {
  const torch::Tensor weight = normal_there(kRows, state.range(0), 5);
  quant::GridOptions options;
  options.clip = clip;
  for (auto _ : state) {
    benchmark::DoNotOptimize(quant::find_grid(weight, options));
    finish();
  }
  count_bytes(state, sizeof(float) * real(weight.numel()));
}
BENCHMARK_CAPTURE(grid, no_search, quant::ClipSearch::kNone)
    ->Arg(768)
    ->Arg(5120)
    ->Arg(13824)
    ->UseRealTime();
BENCHMARK_CAPTURE(grid, clip_search, quant::ClipSearch::kGptq)->Arg(768)->Arg(5120)->UseRealTime();

/// A packed matrix of N x N weights in bfloat16 to the dense one: what evaluation does with a saved
/// folder on a GPU.
void unpack_there(benchmark::State& state, test::PackedForm form) {
  form.rows = form.columns = state.range(0);
  std::mt19937 engine(1);
  const auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
  const packing::PackedParts view = test::found("m", parts);
  for (auto _ : state) {
    benchmark::DoNotOptimize(unpack::unpack_on(place, view));
    finish();
  }
  double bytes = 2.0 * real(form.rows * form.columns);
  for (const packing::PackedPart& part : parts) bytes += static_cast<double>(part.bytes.size());
  count_bytes(state, bytes);
}
test::PackedForm four_bits(bool masked) {
  test::PackedForm form;
  form.masked = masked;
  return form;
}
test::PackedForm levels() {
  test::PackedForm form;
  form.levels = form.column_scaled = true;
  return form;
}
BENCHMARK_CAPTURE(unpack_there, codes, four_bits(false))
    ->Arg(3072)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack_there, half_of_codes, four_bits(true))
    ->Arg(3072)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack_there, levels, levels())
    ->Arg(3072)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sgpt_mi::bench

/// Google Benchmark's flags; a first argument `cuda` measures on the GPU.
int main(int argc, char** argv) {
  using namespace sgpt_mi;
  const bool on_gpu = argc > 1 && std::string_view(argv[1]) == "cuda";
  if (on_gpu) {
    bench::place = torch::Device(torch::kCUDA, 0);
    std::rotate(argv + 1, argv + 2, argv + argc);
    --argc;
    benchmark::RegisterBenchmark("layer_sweep/joint", bench::layer_sweep, 4)
        ->Arg(5120)
        ->Arg(13824)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    benchmark::AddCustomContext(
        "product_float16",
        std::to_string(bench::measured_product_rate(torch::kFloat16) / 1e9) + " Gflop/s");
  }
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("product_float32",
                              std::to_string(bench::product_rate() / 1e9) + " Gflop/s");
  benchmark::AddCustomContext("memory",
                              std::to_string(bench::memory_rate() / 1e9) + " GB/s, scaled copy");
  benchmark::AddCustomContext("threads", std::to_string(at::get_num_threads()));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
