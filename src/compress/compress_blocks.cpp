#include "compress_blocks.h"

#include "block_walk.h"
#include "rd_check.h"
#include "rd_measure.h"
#include "rd_plan.h"
#include "sgpt_mi/core/error.h"
#include "site_compressor.h"
#include "width_planner.h"

namespace sgpt_mi::pipeline {
namespace {

/// Tokens that the chosen estimator looks at; the Gaussian one needs sums only.
std::int64_t sample_tokens(const CompressionSettings& settings) {
  if (!settings.widths) return 0;
  const GroupingOptions& grouping = settings.widths->grouping;
  const bool sampled =
      grouping.grouping != Grouping::kChannels && grouping.estimator != mi::Estimator::kGaussian;
  return sampled ? grouping.sample_tokens : 0;
}

BlockWalk walk_of(const BlockRun& run) {
  BlockWalk walk{run.model,
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

BlockResult compress(BlockWalk walk, SiteCompressor compressor) {
  if (compressor.tunes()) {
    walk.finish_block = [&](model::Block& block, const BlockEnd& end) {
      compressor.finish_block(block, end);
    };
  }
  walk_blocks(walk,
              [&](model::Block& block, SiteInput& input) { compressor.handle(block, input); });
  return compressor.take_result();
}

}  // namespace

BlockResult compress_planned_blocks(const BlockRun& run, const RdPlan& plan) {
  return compress(walk_of(run), SiteCompressor(run, plan));
}

BlockResult compress_blocks(const BlockRun& run) {
  ensure(run.settings.batch_windows >= 1,
         "pipeline: blocks are compressed in batches of no window");
  if (run.settings.plan) {
    const Measurements measurements = load_or_measure(run);
    const RdPlan plan = choose_plan(run, make_plans(measurements, run.settings, run.stored_bits));
    return compress_planned_blocks(run, plan);
  }
  const BlockWalk walk = walk_of(run);
  if (!run.settings.widths) return compress(walk, SiteCompressor(run));
  WidthPlanner planner(run.settings, run.model, run.stored_bits);
  if (run.settings.widths->target.over_model) planner.measure_model(walk);
  return compress(walk, SiteCompressor(run, planner));
}

}  // namespace sgpt_mi::pipeline
