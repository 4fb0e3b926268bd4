#include "compress_blocks.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/obs/compress.h"
#include "stage_clock.h"

namespace sgpt_mi::pipeline {
namespace {

using calib::LayerStats;
using calib::StatsAccumulator;
using model::Block;
using model::LinearInfo;
using model::Site;

/// One accumulator a site whose linears are compressed, in forward order.
using SiteAccumulators = std::map<Site, StatsAccumulator>;

/// Statistics of one site's input, taken once for all linears that read it.
struct SiteStats {
  torch::Tensor hessian;
  std::int64_t tokens = 0;
  std::int64_t channels = 0;
  std::int64_t constant_channels = 0;
};

class BlockCompressor {
 public:
  explicit BlockCompressor(const BlockRun& run) : run_(run) { embed_windows(); }

  std::vector<report::LayerReport> compress_all() {
    for (std::int64_t layer = 0; layer < run_.model.spec().layers; ++layer) {
      check_interrupt();
      compress_block(layer);
    }
    return std::move(reports_);
  }

 private:
  void embed_windows();
  void compress_block(std::int64_t layer);
  void compress_together(Block& block);
  void calibrate_batch(const Block& block, const torch::Tensor& batch,
                       SiteAccumulators& accumulators);
  void compress_in_sequence(Block& block);
  void propagate(const Block& block);
  void compress_site(Block& block, Site site, StatsAccumulator& accumulator);
  void compress_linear(Block& block, const LinearInfo& linear, const SiteStats& stats);
  [[nodiscard]] std::optional<StatsAccumulator> accumulator_for(const Block& block,
                                                                Site site) const;

  const BlockRun& run_;
  std::vector<torch::Tensor> hidden_;  ///< batches (b, T, hidden): inputs of the next block
  std::int64_t layer_ = 0;
  std::int64_t done_ = 0;
  std::vector<report::LayerReport> reports_;
};

void BlockCompressor::embed_windows() {
  const StageTimer timer(run_.timings, "propagate");
  const text::TokenWindows& windows = run_.windows;
  const auto all = torch::from_blob(const_cast<std::int32_t*>(windows.ids.data()),
                                    {windows.windows, windows.seqlen}, torch::kInt32);
  for (const torch::Tensor& ids : all.split(run_.settings.batch_windows)) {
    hidden_.push_back(run_.model.embed(ids.to(torch::kInt64), run_.placement));
  }
  run_.model.release_ends();
}

void BlockCompressor::compress_block(std::int64_t layer) {
  layer_ = layer;
  std::unique_ptr<Block> block;
  {
    const StageTimer timer(run_.timings, "load");
    block = run_.model.load_block(layer, run_.placement);
  }
  if (run_.settings.true_sequential) {
    compress_in_sequence(*block);
  } else {
    compress_together(*block);
    propagate(*block);
  }
}

std::optional<StatsAccumulator> BlockCompressor::accumulator_for(const Block& block,
                                                                 Site site) const {
  for (const LinearInfo& linear : block.linears()) {
    if (linear.site == site && run_.settings.selection.contains(layer_, linear.name)) {
      return StatsAccumulator(linear.name, linear.columns, run_.placement.device);
    }
  }
  return std::nullopt;
}

/// Adds one batch's site inputs to the accumulators, and computes nothing beyond the last of them.
void BlockCompressor::calibrate_batch(const Block& block, const torch::Tensor& batch,
                                      SiteAccumulators& accumulators) {
  const StageTimer timer(run_.timings, "calibrate");
  const Site last = accumulators.rbegin()->first;
  model::BlockState state = block.begin(batch);
  for (int index = 0; index < model::kSites; ++index) {
    const Site site = static_cast<Site>(index);
    const torch::Tensor input = block.site_input(site, state);
    const auto found = accumulators.find(site);
    if (found != accumulators.end()) found->second.add(input);
    if (site == last) break;
    block.advance(site, state, input);
  }
}

void BlockCompressor::compress_together(Block& block) {
  SiteAccumulators accumulators;
  for (int index = 0; index < model::kSites; ++index) {
    const Site site = static_cast<Site>(index);
    if (auto accumulator = accumulator_for(block, site)) {
      accumulators.emplace(site, std::move(*accumulator));
    }
  }
  if (accumulators.empty()) return;
  for (const torch::Tensor& batch : hidden_) {
    check_interrupt();
    calibrate_batch(block, batch, accumulators);
  }
  while (!accumulators.empty()) {  // each H is freed as soon as its linears are compressed
    auto first = accumulators.extract(accumulators.begin());
    compress_site(block, first.key(), first.mapped());
  }
}

void BlockCompressor::propagate(const Block& block) {
  const StageTimer timer(run_.timings, "propagate");
  if (layer_ + 1 == run_.model.spec().layers) return;  // nobody reads the last block's output
  for (torch::Tensor& batch : hidden_) {
    check_interrupt();
    batch = block.forward(batch);
  }
}

void BlockCompressor::compress_in_sequence(Block& block) {
  std::vector<model::BlockState> states;
  states.reserve(hidden_.size());
  for (torch::Tensor& batch : hidden_) {
    states.push_back(block.begin(batch));
    batch = torch::Tensor();
  }
  for (int index = 0; index < model::kSites; ++index) {
    const Site site = static_cast<Site>(index);
    if (auto accumulator = accumulator_for(block, site)) {
      {
        const StageTimer timer(run_.timings, "calibrate");
        for (const model::BlockState& state : states) {
          check_interrupt();
          accumulator->add(block.site_input(site, state));
        }
      }
      compress_site(block, site, *accumulator);
    }
    const StageTimer timer(run_.timings, "propagate");
    for (model::BlockState& state : states) {
      check_interrupt();
      block.advance(site, state, block.site_input(site, state));
    }
  }
  for (std::size_t i = 0; i < states.size(); ++i) hidden_[i] = states[i].hidden;
}

void BlockCompressor::compress_site(Block& block, Site site, StatsAccumulator& accumulator) {
  SiteStats stats;
  {
    const StageTimer timer(run_.timings, "calibrate");
    const LayerStats sums = accumulator.finish();
    stats.hessian = sums.hessian();
    stats.tokens = sums.tokens;
    stats.channels = stats.hessian.size(0);
    stats.constant_channels = sums.constant_channels();
  }
  for (const LinearInfo& linear : block.linears()) {
    if (linear.site != site || !run_.settings.selection.contains(layer_, linear.name)) continue;
    check_interrupt();
    compress_linear(block, linear, stats);
  }
}

obs::CompressResult compress_matrix(Method method, const torch::Tensor& weight,
                                    const torch::Tensor& hessian,
                                    const obs::CompressOptions& options, const std::string& name) {
  switch (method) {
    case Method::kSparseGpt:
      return obs::compress_sparsegpt(weight, hessian, options, name);
    case Method::kMagnitude:
      return obs::compress_magnitude(weight, hessian, options, name);
  }
  fail(ErrorKind::kInternal, "pipeline: unknown method {}", static_cast<int>(method));
}

report::LayerReport describe_layer(const LinearInfo& linear, const obs::CompressResult& result,
                                   const SiteStats& stats, const obs::CompressOptions& options,
                                   std::size_t stored_bytes) {
  report::LayerReport layer;
  layer.name = linear.name;
  layer.rows = linear.rows;
  layer.columns = linear.columns;
  layer.sparsity = result.sparsity;
  layer.stored_bits = 8.0 * static_cast<double>(stored_bytes);
  layer.average_bits = options.quantizes() ? options.wbits : layer.stored_bits;
  layer.loss = result.loss;
  layer.output_error =
      result.output_energy > 0.0 ? result.output_error / result.output_energy : 0.0;
  for (const obs::DampingStep& step : result.damping) {
    layer.damping_steps.push_back({step.percdamp, step.float64, step.succeeded, step.residual});
  }
  if (!result.damping.empty()) layer.damping = result.damping.back().percdamp;
  layer.dead_channels = result.dead_channels;
  layer.constant_channels = stats.constant_channels;
  layer.calibration_tokens = stats.tokens;
  layer.rank_deficient = stats.tokens < stats.channels;
  return layer;
}

void BlockCompressor::compress_linear(Block& block, const LinearInfo& linear,
                                      const SiteStats& stats) {
  const StageTimer timer(run_.timings, "obs");
  const obs::CompressResult result =
      compress_matrix(run_.settings.method, block.weight(linear.short_name), stats.hessian,
                      run_.settings.matrix, linear.name);
  const std::string tensor = linear.name + ".weight";
  const DType saved = run_.saved_types.dtype_of(tensor);
  const torch::Tensor rounded = result.matrix.weight.to(model::to_scalar_type(saved));
  model::require_finite(rounded, linear.name + " (compressed)");
  run_.store.put(tensor, rounded);
  block.set_weight(linear.short_name, rounded.to(run_.placement.dtype));

  report::LayerReport layer =
      describe_layer(linear, result, stats, run_.settings.matrix, dtype_size(saved));
  layer.seconds = timer.seconds();
  run_.events.layer(layer);
  run_.events.progress(++done_);
  reports_.push_back(std::move(layer));
}

}  // namespace

std::vector<report::LayerReport> compress_blocks(const BlockRun& run) {
  const torch::NoGradGuard no_grad;
  return BlockCompressor(run).compress_all();
}

}  // namespace sgpt_mi::pipeline
