#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cpu_kernels/bfloat16_moment.h"
#include "sgpt_mi/cpu_kernels/split_difference.h"
#include "sgpt_mi/cpu_kernels/tile_product.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi {
namespace {

std::vector<std::uint16_t> normal_bits(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(count));
  for (std::uint16_t& value : bits) value = kernels::float_to_bfloat16(normal(engine));
  return bits;
}

void count_rate(benchmark::State& state, double operations) {
  state.counters["flop/s"] = benchmark::Counter(
      operations * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

/// Arguments: columns, tokens. Multiply-adds on and above the diagonal are counted, two operations
/// each.
void add_moment(benchmark::State& state, const cpu_kernels::Bfloat16Moment& moment) {
  const std::int64_t columns = state.range(0);
  const std::int64_t tokens = state.range(1);
  const std::vector<std::uint16_t> x = normal_bits(tokens * columns, 1);
  std::vector<float> sums(static_cast<std::size_t>(columns * columns));
  for (auto _ : state) {
    moment.add({x.data(), tokens, columns, columns}, {sums.data(), columns, columns, columns}, {});
    benchmark::DoNotOptimize(sums.data());
    benchmark::ClobberMemory();
  }
  count_rate(state, static_cast<double>(tokens * columns * (columns + 1)));
}

using Bits = kernels::MatrixView<const std::uint16_t>;

/// The same arguments: (xd - x)^T x as a drift wants it. The operations of one float32 product are
/// counted, though the difference goes in two parts.
void add_drift(benchmark::State& state) {
  const std::int64_t columns = state.range(0);
  const std::int64_t tokens = state.range(1);
  const std::vector<std::uint16_t> dense = normal_bits(tokens * columns, 1);
  const std::vector<std::uint16_t> x = normal_bits(tokens * columns, 2);
  std::vector<std::uint16_t> high(x.size());
  std::vector<std::uint16_t> low(x.size());
  std::vector<float> sums(static_cast<std::size_t>(columns * columns));
  const auto view = [&](const std::vector<std::uint16_t>& bits) {
    return Bits{bits.data(), tokens, columns, columns};
  };
  for (auto _ : state) {
    const cpu_kernels::DifferenceScan scan =
        cpu_kernels::split_difference(view(dense), view(x), {high.data(), tokens, columns, columns},
                                      {low.data(), tokens, columns, columns}, {});
    benchmark::DoNotOptimize(scan.abs_sum);
    cpu_kernels::add_tile_product(std::array{view(high), view(low)}, view(x),
                                  {sums.data(), columns, columns, columns}, {});
    benchmark::ClobberMemory();
  }
  count_rate(state, 2.0 * static_cast<double>(tokens * columns * columns));
}

/// The first half of add_drift().
void split(benchmark::State& state) {
  const std::int64_t columns = state.range(0);
  const std::int64_t tokens = state.range(1);
  const std::vector<std::uint16_t> dense = normal_bits(tokens * columns, 1);
  const std::vector<std::uint16_t> x = normal_bits(tokens * columns, 2);
  std::vector<std::uint16_t> high(x.size());
  std::vector<std::uint16_t> low(x.size());
  for (auto _ : state) {
    const cpu_kernels::DifferenceScan scan = cpu_kernels::split_difference(
        {dense.data(), tokens, columns, columns}, {x.data(), tokens, columns, columns},
        {high.data(), tokens, columns, columns}, {low.data(), tokens, columns, columns}, {});
    benchmark::DoNotOptimize(scan.abs_sum);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * tokens * columns);
}

}  // namespace
}  // namespace sgpt_mi

int main(int count, char** values) {
  const std::vector<std::int64_t> columns{576, 1536, 3072};
  const std::vector<std::int64_t> tokens{512, 2048};
  for (const sgpt_mi::cpu_kernels::Bfloat16Moment& moment :
       sgpt_mi::cpu_kernels::bfloat16_moments()) {
    const std::string name = "second_moment/" + std::string(moment.name);
    benchmark::RegisterBenchmark(name.c_str(), [moment](benchmark::State& state) {
      sgpt_mi::add_moment(state, moment);
    })->ArgsProduct({columns, tokens});
  }
  benchmark::RegisterBenchmark("split_difference", sgpt_mi::split)->ArgsProduct({columns, tokens});
  if (sgpt_mi::cpu_kernels::has_bfloat16_tiles()) {
    benchmark::RegisterBenchmark("drift_product/AMX_BF16", sgpt_mi::add_drift)
        ->ArgsProduct({columns, tokens});
  }
  benchmark::Initialize(&count, values);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
