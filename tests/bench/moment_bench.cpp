#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "cpu_kernels/bfloat16_moment.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi {
namespace {

/// Arguments: columns, tokens. Multiply-adds on and above the diagonal are counted, two operations
/// each.
void add_moment(benchmark::State& state, const cpu_kernels::Bfloat16Moment& moment) {
  const std::int64_t columns = state.range(0);
  const std::int64_t tokens = state.range(1);
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<std::uint16_t> x(static_cast<std::size_t>(tokens * columns));
  for (std::uint16_t& value : x) value = kernels::float_to_bfloat16(normal(engine));
  std::vector<float> sums(static_cast<std::size_t>(columns * columns));
  for (auto _ : state) {
    moment.add({x.data(), tokens, columns, columns}, {sums.data(), columns, columns, columns}, {});
    benchmark::DoNotOptimize(sums.data());
    benchmark::ClobberMemory();
  }
  const auto operations = static_cast<double>(tokens * columns * (columns + 1));
  state.counters["flop/s"] = benchmark::Counter(
      operations * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

}  // namespace
}  // namespace sgpt_mi

int main(int count, char** values) {
  for (const sgpt_mi::cpu_kernels::Bfloat16Moment& moment :
       sgpt_mi::cpu_kernels::bfloat16_moments()) {
    const std::string name = "second_moment/" + std::string(moment.name);
    benchmark::RegisterBenchmark(name.c_str(), [moment](benchmark::State& state) {
      sgpt_mi::add_moment(state, moment);
    })->ArgsProduct({{576, 1536, 3072}, {512, 2048}});
  }
  benchmark::Initialize(&count, values);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
