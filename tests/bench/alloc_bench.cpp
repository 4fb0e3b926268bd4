#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <vector>

#include "sgpt_mi/alloc/bit_plan.h"

namespace sgpt_mi {
namespace {

/// Log-normal importances; the input channels of attention and FFN matrices of a 7B LLaMA.
std::vector<alloc::Unit> channels(std::int64_t count) {
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  std::vector<alloc::Unit> units;
  for (std::int64_t i = 0; i < count; ++i) {
    units.push_back({i % 10 < 7 ? 4096 : 11008, std::exp(1.5 * normal(engine))});
  }
  return units;
}

/// Groups of columns, of any size: what the exchange works hardest on.
std::vector<alloc::Unit> groups(std::int64_t count) {
  std::vector<alloc::Unit> units = channels(count);
  std::mt19937_64 engine(2);
  for (alloc::Unit& unit : units) unit.weights *= 1 + static_cast<std::int64_t>(engine() % 800);
  return units;
}

alloc::BitTarget four_bits(const std::vector<alloc::Unit>& units) {
  std::int64_t weights = 0;
  for (const alloc::Unit& unit : units) weights += unit.weights;
  return {alloc::budget_bits_of(4.0, weights), 0, {}};
}

/// Argument: units. Rate: units.
void budget_of_channels(benchmark::State& state) {
  const auto units = channels(state.range(0));
  const alloc::BitTarget target = four_bits(units);
  for (auto _ : state) {
    benchmark::DoNotOptimize(alloc::plan_budget(units, alloc::kDefaultLevels, target));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(budget_of_channels)->Arg(10000)->Arg(1000000)->Arg(2000000);

void quantile_of_channels(benchmark::State& state) {
  const auto units = channels(state.range(0));
  const alloc::BitTarget target = four_bits(units);
  for (auto _ : state) {
    benchmark::DoNotOptimize(alloc::plan_quantile(units, alloc::kDefaultLevels, target));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(quantile_of_channels)->Arg(1000000);

void budget_of_groups(benchmark::State& state) {
  const auto units = groups(state.range(0));
  const alloc::BitTarget target = four_bits(units);
  for (auto _ : state) {
    benchmark::DoNotOptimize(alloc::plan_budget(units, alloc::kDefaultLevels, target));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(budget_of_groups)->Arg(10)->Arg(2240);

}  // namespace
}  // namespace sgpt_mi

BENCHMARK_MAIN();
