#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cpu_kernels/bfloat16_sets.h"
#include "sgpt_mi/cpu_kernels/rounded_difference.h"
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
void add_moment(benchmark::State& state, const cpu_kernels::Bfloat16Set& set) {
  const std::int64_t columns = state.range(0);
  const std::int64_t tokens = state.range(1);
  const std::vector<std::uint16_t> x = normal_bits(tokens * columns, 1);
  std::vector<float> sums(static_cast<std::size_t>(columns * columns));
  for (auto _ : state) {
    set.add_moment({x.data(), tokens, columns, columns}, {sums.data(), columns, columns, columns},
                   {});
    benchmark::DoNotOptimize(sums.data());
    benchmark::ClobberMemory();
  }
  count_rate(state, static_cast<double>(tokens * columns * (columns + 1)));
}

/// The same arguments: (xd - x)^T x as a drift wants it; the product's operations are counted.
void add_drift(benchmark::State& state, const cpu_kernels::Bfloat16Set& set) {
  const std::int64_t columns = state.range(0);
  const std::int64_t tokens = state.range(1);
  const std::vector<std::uint16_t> dense = normal_bits(tokens * columns, 1);
  const std::vector<std::uint16_t> x = normal_bits(tokens * columns, 2);
  std::vector<std::uint16_t> difference(x.size());
  std::vector<float> sums(static_cast<std::size_t>(columns * columns));
  const auto view = [&](const std::vector<std::uint16_t>& bits) {
    return cpu_kernels::Bfloat16View{bits.data(), tokens, columns, columns};
  };
  for (auto _ : state) {
    const cpu_kernels::DifferenceScan scan = cpu_kernels::rounded_difference(
        view(dense), view(x), {difference.data(), tokens, columns, columns}, {});
    benchmark::DoNotOptimize(scan.abs_sum);
    set.add_product(view(difference), view(x), {sums.data(), columns, columns, columns}, {});
    benchmark::ClobberMemory();
  }
  count_rate(state, 2.0 * static_cast<double>(tokens * columns * columns));
}

}  // namespace
}  // namespace sgpt_mi

int main(int count, char** values) {
  const std::vector<std::int64_t> columns{576, 1536, 3072};
  const std::vector<std::int64_t> tokens{512, 2048};
  for (const sgpt_mi::cpu_kernels::Bfloat16Set& set : sgpt_mi::cpu_kernels::bfloat16_sets()) {
    const std::string name = std::string(set.name);
    benchmark::RegisterBenchmark(("second_moment/" + name).c_str(), [set](benchmark::State& state) {
      sgpt_mi::add_moment(state, set);
    })->ArgsProduct({columns, tokens});
    benchmark::RegisterBenchmark(("drift_product/" + name).c_str(), [set](benchmark::State& state) {
      sgpt_mi::add_drift(state, set);
    })->ArgsProduct({columns, tokens});
  }
  benchmark::Initialize(&count, values);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
