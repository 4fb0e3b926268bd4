#include "end_matrices.h"

#include <algorithm>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/eval/perplexity.h"
#include "sgpt_mi/quant/block_grid.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::compress {

EndMatrices::EndMatrices(const BlockRun& run) : run_(run), matrices_(run.settings.types->ends) {}

void EndMatrices::measure(planning::Measurements& measurements) const {
  const planning::TypeOptions& types = *run_.settings.types;
  const walk::StageTimer timer(run_.timings, "end_matrices");
  const text::TokenWindows windows = text::first_windows(
      run_.windows, planning::split_windows(run_.windows.windows, *run_.settings.plan).measured);
  eval::FinalStates dense;
  eval::PerplexityOptions options{run_.placement, run_.settings.batch_windows, {}, &dense};
  options.keep_head = true;
  options.world = run_.world;
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
    const containers::TensorData stored = run_.saved_types.read(matrix.tensor());
    for (const blocks::BlockType* type : types.end_menu(matrix.columns)) {
      const quant::BlockRounding rounded = quant::round_to_blocks(
          model::to_torch(stored), *type, model::to_scalar_type(stored.info.dtype));
      formats::MemoryStore store(run_.saved_types);
      store.put(model::to_tensor_data(matrix.tensor(), rounded.values));
      model::Model changed(run_.model.spec(), store);
      eval::PerplexityOptions compared{
          run_.placement, run_.settings.batch_windows, {}, nullptr, false, &dense};
      compared.world = run_.world;
      const double damage = eval::perplexity(changed, windows, compared).divergence.value().kl_mean;
      curves.types.push_back({std::string(type->name), std::max(damage, 0.0)});
    }
    planning::sort_types(curves);
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
    const containers::TensorData stored = run_.saved_types.read(matrix.tensor());
    const quant::BlockRounding rounded = quant::round_to_blocks(
        model::to_torch(stored), *type, model::to_scalar_type(stored.info.dtype));
    if (run_.store.takes_blocks()) {
      run_.store.put_blocks(matrix.name, {type, matrix.rows, matrix.columns, rounded.bytes});
    } else {
      run_.store.put(model::to_tensor_data(matrix.tensor(), rounded.values));
    }
    if (copy != nullptr) copy->put(model::to_tensor_data(matrix.tensor(), rounded.values));
    types[matrix.name] = type;
  }
}

}  // namespace sgpt_mi::compress
