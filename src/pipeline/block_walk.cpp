#include "block_walk.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "stage_clock.h"

namespace sgpt_mi::pipeline {
namespace {

using model::Block;
using model::Site;

/// Whether the site's linear is added to the residual stream.
bool adds_to_residual(Site site) { return site == Site::kAttentionOut || site == Site::kMlpOut; }

/// Sums and sampled tokens of one site's input, and its drift when followed.
class SiteCollector {
 public:
  /// \param first   the first linear that reads the site.
  /// \param stride  every stride-th token is kept; 0: none.
  SiteCollector(model::LinearInfo first, torch::Device device, std::int64_t stride)
      : first_(std::move(first)),
        device_(device),
        sums_(first_.name, first_.columns, device),
        stride_(stride) {}

  void add(const torch::Tensor& input) {
    sums_.add(input);
    if (stride_ == 0) return;
    const torch::Tensor tokens = input.reshape({-1, input.size(-1)});
    samples_.push_back(tokens.slice(0, 0, tokens.size(0), stride_).to(torch::kFloat32).clone());
  }

  void follow_drift() { drift_.emplace(first_.name, first_.columns, device_); }
  [[nodiscard]] bool follows_drift() const { return drift_.has_value(); }

  void add_drift(const torch::Tensor& dense, const torch::Tensor& input) {
    drift_->add(dense, input);
  }

  void add_residual_drift(const model::BlockState& dense, const model::BlockState& state,
                          const torch::Tensor& input) {
    drift_->add_residual(dense.hidden, state.hidden, input);
  }

  [[nodiscard]] SiteInput finish(std::int64_t layer) {
    SiteInput input{layer, first_.site, sums_.finish(),
                    samples_.empty() ? torch::Tensor() : at::cat(samples_)};
    if (drift_) input.drift = drift_->finish();
    return input;
  }

 private:
  model::LinearInfo first_;
  torch::Device device_;
  calib::StatsAccumulator sums_;
  std::optional<calib::DriftAccumulator> drift_;
  std::int64_t stride_;
  std::vector<torch::Tensor> samples_;
};

/// One collector a site whose linears are selected, in forward order.
using Collectors = std::map<Site, SiteCollector>;

/// The states of all batches between two sites.
struct Streams {
  std::vector<model::BlockState> compressed;
  std::vector<model::BlockState> dense;  ///< empty: the same as the compressed ones
};

std::vector<model::BlockState> begin_all(const Block& block, std::vector<torch::Tensor>& hidden) {
  std::vector<model::BlockState> states;
  states.reserve(hidden.size());
  for (torch::Tensor& batch : hidden) {
    states.push_back(block.begin(batch));
    batch = torch::Tensor();  // freed as soon as the state has moved on
  }
  return states;
}

std::vector<torch::Tensor> end_all(const std::vector<model::BlockState>& states) {
  std::vector<torch::Tensor> hidden;
  hidden.reserve(states.size());
  for (const model::BlockState& state : states) hidden.push_back(state.hidden);
  return hidden;
}

class Walker {
 public:
  Walker(const BlockWalk& walk, const SiteHandler& handle) : walk_(walk), handle_(handle) {
    embed_windows();
  }

  void run() {
    for (layer_ = 0; layer_ < walk_.model.spec().layers; ++layer_) {
      check_interrupt();
      const std::unique_ptr<Block> block = load();
      if (walk_.true_sequential) {
        pass_in_sequence(*block);
      } else {
        calibrate_together(*block);
        propagate(*block);
      }
    }
  }

 private:
  void embed_windows();
  [[nodiscard]] std::unique_ptr<Block> load() const;
  void calibrate_together(Block& block);
  void calibrate_batch(const Block& block, const torch::Tensor& batch, Collectors& collectors);
  void propagate(const Block& block);
  void pass_in_sequence(Block& block);
  void pass_site(Block& block, Site site, Streams& streams);
  void visit(const Block& block, Site site, SiteCollector* collector,
             const model::BlockState& state, model::BlockState* dense);
  void handle(Block& block, SiteCollector& collector);
  void finish(Block& block, const std::vector<torch::Tensor>& inputs);
  [[nodiscard]] std::optional<SiteCollector> collector_for(const Block& block, Site site) const;
  /// Whether there is a block that reads what the present one gives.
  [[nodiscard]] bool output_is_read() const { return layer_ + 1 < walk_.model.spec().layers; }

  const BlockWalk& walk_;
  const SiteHandler& handle_;
  std::vector<torch::Tensor> hidden_;  // batches (b, T, hidden): inputs of the next block
  std::vector<torch::Tensor> dense_;   // the dense stream's; empty: the same
  std::int64_t layer_ = 0;
  bool finishes_ = false;  // whether finish_block is called for the present block
};

void Walker::embed_windows() {
  const StageTimer timer(walk_.timings, "propagate");
  const auto ids = torch::from_blob(const_cast<std::int32_t*>(walk_.windows.ids.data()),
                                    {walk_.windows.windows, walk_.windows.seqlen}, torch::kInt32);
  for (const torch::Tensor& batch : ids.split(walk_.batch_windows)) {
    hidden_.push_back(walk_.model.embed(batch.to(torch::kInt64), walk_.placement));
  }
  walk_.model.release_ends();
}

std::unique_ptr<Block> Walker::load() const {
  const StageTimer timer(walk_.timings, "load");
  return walk_.model.load_block(layer_, walk_.placement);
}

std::optional<SiteCollector> Walker::collector_for(const Block& block, Site site) const {
  const std::int64_t tokens = walk_.windows.windows * walk_.windows.seqlen;
  const std::int64_t wanted = walk_.sample_tokens;
  const std::int64_t stride = wanted == 0 ? 0 : std::max<std::int64_t>(1, tokens / wanted);
  for (const model::LinearInfo& linear : block.linears()) {
    if (linear.site == site && walk_.selection.contains(layer_, linear.name)) {
      return SiteCollector(linear, walk_.placement.device, stride);
    }
  }
  return std::nullopt;
}

/// Adds one batch's site inputs to the collectors, and computes nothing beyond the last of them.
void Walker::calibrate_batch(const Block& block, const torch::Tensor& batch,
                             Collectors& collectors) {
  const StageTimer timer(walk_.timings, "calibrate");
  const Site last = collectors.rbegin()->first;
  model::BlockState state = block.begin(batch);
  for (int index = 0; index < model::kSites; ++index) {
    const Site site = static_cast<Site>(index);
    const torch::Tensor input = block.site_input(site, state);
    const auto found = collectors.find(site);
    if (found != collectors.end()) found->second.add(input);
    if (site == last) break;
    block.advance(site, state, input);
  }
}

void Walker::calibrate_together(Block& block) {
  Collectors collectors;
  for (int index = 0; index < model::kSites; ++index) {
    const Site site = static_cast<Site>(index);
    if (auto collector = collector_for(block, site)) {
      collectors.emplace(site, std::move(*collector));
    }
  }
  if (collectors.empty()) return;
  for (const torch::Tensor& batch : hidden_) {
    check_interrupt();
    calibrate_batch(block, batch, collectors);
  }
  while (!collectors.empty()) {  // each H is freed as soon as its linears are handled
    auto first = collectors.extract(collectors.begin());
    handle(block, first.mapped());
  }
}

void Walker::propagate(const Block& block) {
  const StageTimer timer(walk_.timings, "propagate");
  if (!output_is_read()) return;
  for (torch::Tensor& batch : hidden_) {
    check_interrupt();
    batch = block.forward(batch);
  }
}

void Walker::pass_in_sequence(Block& block) {
  const std::vector<torch::Tensor> inputs =
      walk_.finish_block ? hidden_ : std::vector<torch::Tensor>();
  finishes_ = false;
  Streams streams{begin_all(block, hidden_), begin_all(block, dense_)};
  for (int index = 0; index < model::kSites; ++index) {
    pass_site(block, static_cast<Site>(index), streams);
  }
  hidden_ = end_all(streams.compressed);
  dense_ = end_all(streams.dense);
  if (finishes_) finish(block, inputs);
}

void Walker::finish(Block& block, const std::vector<torch::Tensor>& inputs) {
  walk_.finish_block(block, {inputs, dense_});
  hidden_ = inputs;
  propagate(block);
}

void Walker::pass_site(Block& block, Site site, Streams& streams) {
  std::optional<SiteCollector> collector = collector_for(block, site);
  finishes_ = finishes_ || (collector && walk_.finish_block);
  if (collector && !streams.dense.empty()) collector->follow_drift();
  if (collector && walk_.dense_stream && streams.dense.empty()) streams.dense = streams.compressed;
  for (std::size_t i = 0; i < streams.compressed.size(); ++i) {
    check_interrupt();
    visit(block, site, collector ? &*collector : nullptr, streams.compressed[i],
          streams.dense.empty() ? nullptr : &streams.dense[i]);
  }
  if (collector) handle(block, *collector);
  // finish() computes the output of a block that it may still change.
  if (site == Site::kMlpOut && (!output_is_read() || finishes_)) return;
  const StageTimer timer(walk_.timings, "propagate");
  for (model::BlockState& state : streams.compressed) {
    check_interrupt();
    block.advance(site, state, block.site_input(site, state));
  }
}

/// What one batch has to do at a site before the handler: it is collected, and its dense stream
/// goes on.
void Walker::visit(const Block& block, Site site, SiteCollector* collector,
                   const model::BlockState& state, model::BlockState* dense) {
  torch::Tensor input;
  if (collector != nullptr) {
    const StageTimer timer(walk_.timings, "calibrate");
    input = block.site_input(site, state);
    collector->add(input);
  }
  if (dense == nullptr) return;
  torch::Tensor dense_input = input;  // the same where the streams are about to part
  if (collector == nullptr || collector->follows_drift()) {
    const StageTimer timer(walk_.timings, "dense_stream");
    dense_input = block.site_input(site, *dense);
  }
  if (collector != nullptr && collector->follows_drift()) {
    const StageTimer timer(walk_.timings, "drift");
    collector->add_drift(dense_input, input);
    if (walk_.residual_drift && adds_to_residual(site)) {
      collector->add_residual_drift(*dense, state, input);
    }
  }
  if (site == Site::kMlpOut && !output_is_read() && !finishes_) return;
  const StageTimer timer(walk_.timings, "dense_stream");
  block.advance(site, *dense, dense_input);
}

void Walker::handle(Block& block, SiteCollector& collector) {
  SiteInput input;
  {
    const StageTimer timer(walk_.timings, "calibrate");
    input = collector.finish(layer_);
  }
  handle_(block, input);
}

}  // namespace

void walk_blocks(const BlockWalk& walk, const SiteHandler& handle) {
  ensure(walk.true_sequential || !walk.dense_stream,
         "pipeline: a dense stream beside a walk that is not true-sequential");
  ensure(walk.dense_stream || !walk.residual_drift,
         "pipeline: the residual stream's drift without a dense stream");
  ensure(walk.dense_stream || !walk.finish_block,
         "pipeline: blocks to be finished without a dense stream");
  const torch::NoGradGuard no_grad;
  Walker(walk, handle).run();
}

}  // namespace sgpt_mi::pipeline
