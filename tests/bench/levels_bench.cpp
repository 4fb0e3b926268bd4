#include <benchmark/benchmark.h>

#include <random>

#include "sgpt_mi/entropy/coded_levels.h"
#include "support/level_examples.h"

namespace sgpt_mi {
namespace {

/// Levels of a 576 x 576 or 2048 x 2048 matrix; about `bits` bits of entropy with these sizes.
test::LevelForm form_of(std::int64_t side, int bits, bool laplace) {
  const double size = laplace ? 0.264 * std::exp2(bits) : 0.242 * std::exp2(bits);
  return {side, side, size, laplace, 0.5, 0.5};
}

struct Problem {
  explicit Problem(const test::LevelForm& form) {
    std::mt19937 engine(1);
    const test::LevelSizes sizes = test::level_sizes(form, engine);
    levels = test::random_levels(form, sizes, engine);
    ideal_bits = test::ideal_bits(form, sizes, levels);
  }
  std::vector<std::int16_t> levels;
  double ideal_bits = 0.0;
};

/// Bytes beside those of an ideal code for known sizes of rows and columns, in percent.
void count_bytes(benchmark::State& state, const Problem& problem,
                 const entropy::CodedLevels& coded) {
  const auto count = static_cast<double>(problem.levels.size());
  const auto total = static_cast<double>(coded.tables.size() + coded.streams.size());
  state.counters["ideal_bits"] = problem.ideal_bits / count;
  state.counters["bits"] = 8.0 * total / count;
  state.counters["over_%"] = 100.0 * (8.0 * total / problem.ideal_bits - 1.0);
  state.counters["tables_%"] = 100.0 * static_cast<double>(coded.tables.size()) / total;
  state.counters["tables"] = std::to_integer<int>(coded.tables[0]);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(problem.levels.size()));
}

/// Bytes to levels, one thread. Rate: levels.
void decode(benchmark::State& state, const test::LevelForm& form) {
  const Problem problem(form);
  const auto coded = entropy::encode_levels(problem.levels, form.rows, form.columns);
  const entropy::LevelReader reader({coded.tables, coded.streams, "tables", "streams"}, form.rows,
                                    form.columns);
  for (auto step : state) {
    reader.for_bands(serial_for(),
                     [](const entropy::LevelBand& band) { benchmark::DoNotOptimize(band.levels); });
  }
  count_bytes(state, problem, coded);
}

/// The way back, one thread. Rate: levels.
void encode(benchmark::State& state, const test::LevelForm& form) {
  const Problem problem(form);
  entropy::CodedLevels coded;
  for (auto step : state) {
    coded = entropy::encode_levels(problem.levels, form.rows, form.columns);
  }
  count_bytes(state, problem, coded);
}

#define SGPT_MI_LEVELS(name, ...)                                                       \
  BENCHMARK_CAPTURE(decode, name, form_of(__VA_ARGS__))->Unit(benchmark::kMillisecond); \
  BENCHMARK_CAPTURE(encode, name, form_of(__VA_ARGS__))->Unit(benchmark::kMillisecond)
SGPT_MI_LEVELS(gauss_2_bits_576, 576, 2, false);
SGPT_MI_LEVELS(gauss_3_bits_576, 576, 3, false);
SGPT_MI_LEVELS(gauss_4_bits_576, 576, 4, false);
SGPT_MI_LEVELS(laplace_2_bits_576, 576, 2, true);
SGPT_MI_LEVELS(laplace_3_bits_576, 576, 3, true);
SGPT_MI_LEVELS(laplace_4_bits_576, 576, 4, true);
SGPT_MI_LEVELS(gauss_3_bits_2048, 2048, 3, false);
SGPT_MI_LEVELS(laplace_3_bits_2048, 2048, 3, true);

}  // namespace
}  // namespace sgpt_mi

BENCHMARK_MAIN();
