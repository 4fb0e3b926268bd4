#include "compress_blocks.h"

#include <optional>

#include "block_walk.h"
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

}  // namespace

BlockResult compress_blocks(const BlockRun& run) {
  const BlockWalk walk{run.model,
                       run.placement,
                       run.windows,
                       run.settings.selection,
                       run.settings.true_sequential,
                       run.settings.batch_windows,
                       sample_tokens(run.settings),
                       run.timings};
  std::optional<WidthPlanner> planner;
  if (run.settings.widths) {
    planner.emplace(run.settings, run.model, run.stored_bits);
    if (run.settings.widths->target.over_model) planner->measure_model(walk);
  }
  SiteCompressor compressor(run, planner ? &*planner : nullptr);
  walk_blocks(walk,
              [&](model::Block& block, SiteInput& input) { compressor.handle(block, input); });
  return compressor.take_result();
}

}  // namespace sgpt_mi::pipeline
