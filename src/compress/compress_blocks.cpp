#include "sgpt_mi/compress/compress_blocks.h"

#include "end_matrices.h"
#include "rd_check.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/planning/rd_measure.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/widths/width_planner.h"
#include "site_compressor.h"

namespace sgpt_mi::compress {
namespace {

/// Tokens that the chosen estimator looks at; the Gaussian one needs sums only.
std::int64_t sample_tokens(const CompressionSettings& settings) {
  if (!settings.widths) return 0;
  const widths::GroupingOptions& grouping = settings.widths->grouping;
  const bool sampled = grouping.grouping != widths::Grouping::kChannels &&
                       grouping.estimator != mi::Estimator::kGaussian;
  return sampled ? grouping.sample_tokens : 0;
}

walk::BlockWalk walk_of(const BlockRun& run) {
  walk::BlockWalk walk{run.model,
                       run.placement,
                       run.windows,
                       run.settings.selection,
                       run.settings.true_sequential,
                       run.settings.batch_windows,
                       sample_tokens(run.settings),
                       run.timings};
  walk.dense_stream = run.settings.follows_dense();
  walk.residual_drift = run.settings.drift > 0.0 && run.settings.drift_residual;
  walk.activations = run.activations;
  walk.keeps_norms = !run.settings.channel_scaling;
  return walk;
}

/// Compresses all blocks, then tunes the model where that is asked for.
/// \param ends  embedding and head in blocks, or null; \param plan  of their types, or null.
BlockResult compress(const BlockRun& run, SiteCompressor compressor, const EndMatrices* ends,
                     const planning::RdPlan* plan) {
  walk::walk_blocks(walk_of(run), [&](model::Block& block, walk::SiteInput& input) {
    compressor.handle(block, input);
  });
  std::map<std::string, const blocks::BlockType*> types;
  formats::MemoryStore student(run.saved_types);
  if (ends != nullptr) ends->finish(plan, types, compressor.tunes() ? &student : nullptr);
  if (compressor.tunes()) compressor.finish_model(student);
  BlockResult result = compressor.take_result();
  result.block_types.merge(types);
  return result;
}

}  // namespace

BlockResult compress_planned_blocks(const BlockRun& run, const planning::RdPlan& plan) {
  return compress(run, SiteCompressor(run, plan), nullptr, nullptr);
}

BlockResult compress_blocks(const BlockRun& run) {
  ensure(run.settings.batch_windows >= 1,
         "compress: blocks are compressed in batches of no window");
  std::optional<EndMatrices> made;
  if (run.settings.types) made.emplace(run);
  const EndMatrices* ends = made ? &*made : nullptr;
  if (run.settings.plan) {
    const planning::PlanGoal goal = run.settings.goal();
    planning::Measurements measurements = planning::load_or_measure(
        {run.model, run.placement, run.windows, run.settings.selection, goal,
         run.settings.batch_windows, run.activations, run.timings, run.measurement_key});
    if (ends != nullptr) {
      ends->measure(measurements);
      const std::string& path = run.settings.plan->measurements;
      if (!path.empty()) planning::write_measurements(measurements, path);
    }
    const planning::RdPlan plan =
        choose_plan(run, planning::make_plans(measurements, goal, run.stored_bits));
    return compress(run, SiteCompressor(run, plan), ends, &plan);
  }
  if (!run.settings.widths) return compress(run, SiteCompressor(run), ends, nullptr);
  widths::WidthPlanner planner(
      {*run.settings.widths, run.settings.matrix, run.settings.selection, run.stored_bits},
      run.model);
  if (run.settings.widths->target.over_model) planner.measure_model(walk_of(run));
  return compress(run, SiteCompressor(run, planner), ends, nullptr);
}

}  // namespace sgpt_mi::compress
