#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "sgpt_mi/packing/packed_matrix.h"
#include "support/packed_examples.h"

namespace sgpt_mi {
namespace {

/// A 2048 x 2048 bfloat16 matrix, one grid per row and 128 columns.
test::PackedForm form_of(std::vector<int> widths) {
  test::PackedForm form;
  form.rows = 2048;
  form.columns = 2048;
  form.groups = 16;
  form.widths = std::move(widths);
  return form;
}

test::PackedForm half_pruned(std::vector<int> widths, int prune_n, int prune_m) {
  test::PackedForm form = form_of(std::move(widths));
  form.masked = true;
  form.prune_n = prune_n;
  form.prune_m = prune_m;
  return form;
}

/// Levels of 7 equally frequent values, which take 2.8 bits, with a scale of each row and column.
test::PackedForm levels() {
  test::PackedForm form = form_of({});
  form.groups = 1;
  form.levels = form.column_scaled = true;
  return form;
}

/// Packed parts to the dense matrix, one thread. Rates: weights, and bytes of the dense matrix.
void unpack(benchmark::State& state, const test::PackedForm& form) {
  std::mt19937 engine(1);
  const auto parts = packing::pack_matrix("m", test::random_matrix(form, engine).view());
  const packing::PackedParts view = test::found("m", parts);
  for (auto step : state) benchmark::DoNotOptimize(packing::unpack_matrix(view));
  const std::int64_t weights = state.iterations() * form.rows * form.columns;
  state.SetItemsProcessed(weights);
  state.SetBytesProcessed(weights * static_cast<std::int64_t>(dtype_size(form.dtype)));
}
BENCHMARK_CAPTURE(unpack, dense_3_bits, form_of({3}))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack, dense_4_bits, form_of({4}))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack, dense_2_to_8_bits, form_of({2, 3, 4, 6, 8}))
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack, bitmask_4_bits, half_pruned({4}, 0, 0))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack, bitmask_2_to_8_bits, half_pruned({2, 3, 4, 6, 8}, 0, 0))
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack, two_of_four_4_bits, half_pruned({4}, 2, 4))
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unpack, bitmask_values, half_pruned({}, 0, 0))->Unit(benchmark::kMillisecond);

BENCHMARK_CAPTURE(unpack, levels, levels())->Unit(benchmark::kMillisecond);

/// The way back, one thread. Rate: weights.
void pack(benchmark::State& state, const test::PackedForm& form) {
  std::mt19937 engine(1);
  const test::CodedMatrixBuffers matrix = test::random_matrix(form, engine);
  for (auto step : state) benchmark::DoNotOptimize(packing::pack_matrix("m", matrix.view()));
  state.SetItemsProcessed(state.iterations() * form.rows * form.columns);
}
BENCHMARK_CAPTURE(pack, dense_4_bits, form_of({4}))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(pack, bitmask_4_bits, half_pruned({4}, 0, 0))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(pack, levels, levels())->Unit(benchmark::kMillisecond);

/// The size that the allocator asks for.
void predict(benchmark::State& state) {
  std::mt19937 engine(1);
  const packing::PackedShape shape =
      packing::packed_shape(test::random_matrix(half_pruned({2, 3, 4}, 0, 0), engine).view());
  for (auto step : state) benchmark::DoNotOptimize(packing::predict_packed_size(shape));
}
BENCHMARK(predict);

}  // namespace
}  // namespace sgpt_mi

BENCHMARK_MAIN();
