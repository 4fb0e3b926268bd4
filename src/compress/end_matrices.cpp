#include "end_matrices.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <utility>

#include "end_shapes.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/eval/perplexity.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {
namespace {

/// A matrix in blocks, and the values that the blocks decode to.
struct Rounded {
  std::vector<std::byte> bytes;
  torch::Tensor values;  // of the checkpoint's type
};

Rounded round_to_type(const torch::Tensor& matrix, const blocks::BlockType& type,
                      torch::ScalarType saved) {
  const std::int64_t rows = matrix.size(0);
  Rounded result{{}, at::empty(matrix.sizes(), saved)};
  const torch::Tensor importance = at::ones({matrix.size(1)}, torch::kFloat32);
  for (std::int64_t first = 0; first < rows; first += kEndRowsAtOnce) {
    check_interrupt();
    const std::int64_t count = std::min(kEndRowsAtOnce, rows - first);
    const torch::Tensor part = matrix.narrow(0, first, count).to(torch::kFloat32).contiguous();
    quant::Grid grid = quant::make_block_grid(count, part.size(1), type, torch::kCPU);
    quant::fit_block_columns(grid, 0, part, importance);
    const torch::Tensor codes = quant::quantize(part, grid);
    result.values.narrow(0, first, count).copy_(quant::dequantize(codes, grid));
    const std::vector<std::byte> bytes = quant::encode_blocks(codes, *grid.blocks);
    result.bytes.insert(result.bytes.end(), bytes.begin(), bytes.end());
  }
  return result;
}

}  // namespace

EndMatrices::EndMatrices(const BlockRun& run) : run_(run), matrices_(run.settings.types->ends) {}

void EndMatrices::measure(planning::Measurements& measurements) const {
  const planning::TypeOptions& types = *run_.settings.types;
  const walk::StageTimer timer(run_.timings, "end_matrices");
  const text::TokenWindows windows = text::first_windows(
      run_.windows, planning::split_windows(run_.windows.windows, *run_.settings.plan).measured);
  eval::FinalStates dense;
  eval::PerplexityOptions options{run_.placement, run_.settings.batch_windows, {}, &dense};
  options.keep_head = true;
  for (const formats::MatrixShape& matrix : matrices_) {
    const auto known = [&](const planning::LinearCurves& curves) {
      return curves.name == matrix.name;
    };
    auto& linears = measurements.linears;
    if (types.fixed_end(matrix) != nullptr) {
      std::erase_if(linears, known);  // of a file: its type is not planned in this run
      continue;
    }
    if (std::any_of(linears.begin(), linears.end(), known)) continue;
    if (!dense.states.defined()) {
      static_cast<void>(eval::perplexity(run_.model, windows, options));
      run_.model.release_ends();
    }
    planning::LinearCurves& curves = measurements.linears.emplace_back();
    curves.name = matrix.name;
    curves.rows = matrix.rows;
    curves.columns = matrix.columns;
    curves.unit_of_column.assign(static_cast<std::size_t>(matrix.columns), 0);
    const containers::TensorData stored = run_.saved_types.read(tensor_of(matrix));
    for (const blocks::BlockType* type : types.end_menu(matrix.columns)) {
      const Rounded rounded =
          round_to_type(model::to_torch(stored), *type, model::to_scalar_type(stored.info.dtype));
      formats::MemoryStore store(run_.saved_types);
      store.put(model::to_tensor_data(tensor_of(matrix), rounded.values));
      model::Model changed(run_.model.spec(), store);
      const eval::PerplexityOptions compared{
          run_.placement, run_.settings.batch_windows, {}, nullptr, false, &dense};
      const double damage = eval::perplexity(changed, windows, compared).divergence.value().kl_mean;
      curves.types.push_back({std::string(type->name), std::max(damage, 0.0)});
    }
  }
}

void EndMatrices::finish(const planning::RdPlan* plan,
                         std::map<std::string, const blocks::BlockType*>& types,
                         formats::WeightStore* copy) const {
  for (const formats::MatrixShape& matrix : matrices_) {
    const blocks::BlockType* type = run_.settings.types->fixed_end(matrix);
    if (plan != nullptr && plan->linears.contains(matrix.name)) {
      type = plan->linears.at(matrix.name).block_type;
    }
    ensure(type != nullptr, "compress: an embedding or a head without a type");
    const containers::TensorData stored = run_.saved_types.read(tensor_of(matrix));
    const Rounded rounded =
        round_to_type(model::to_torch(stored), *type, model::to_scalar_type(stored.info.dtype));
    if (run_.store.takes_blocks()) {
      run_.store.put_blocks(matrix.name, {type, matrix.rows, matrix.columns, rounded.bytes});
    } else {
      run_.store.put(model::to_tensor_data(tensor_of(matrix), rounded.values));
    }
    if (copy != nullptr) copy->put(model::to_tensor_data(tensor_of(matrix), rounded.values));
    types[matrix.name] = type;
  }
}

}  // namespace sgpt_mi::compress
