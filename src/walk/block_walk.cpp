#include "sgpt_mi/walk/block_walk.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/memory/freed_memory.h"
#include "sgpt_mi/walk/stage_clock.h"
#include "site_collector.h"

namespace sgpt_mi::walk {
namespace {

using model::Block;
using model::Site;

/// Whether the site's linear is added to the residual stream.
bool adds_to_residual(Site site) { return site == Site::kAttentionOut || site == Site::kMlpOut; }

/// One collector a site whose linears are selected, in forward order.
using Collectors = std::map<Site, SiteCollector>;

/// A state that was stored between two sites, or between two blocks.
model::BlockState begun(const Block& block, Site site, model::BlockState state) {
  if (site != Site::kAttentionIn || state.pending.defined()) return state;
  return block.begin(state.hidden);
}

class Walker {
 public:
  Walker(const BlockWalk& walk, const SiteHandler& handle)
      : walk_(walk),
        handle_(handle),
        lanes_((walk.windows.windows + walk.batch_windows - 1) / walk.batch_windows,
               walk.world.size()),
        batches_(lanes_.units_of_rank(walk.world.rank())),
        space_(walk.placement.device, walk.activations),
        states_(space_, static_cast<std::size_t>(batches_.count())) {
    embed_windows(walk_.model);
    if (walk_.embedding == nullptr) return;
    if (walk_.dense_stream) {
      dense_ = states_.copy();
      residuals_part_ = true;
    }
    embed_windows(*walk_.embedding);
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
      memory::give_back_freed_memory();
    }
  }

 private:
  void embed_windows(model::Model& model);
  [[nodiscard]] std::unique_ptr<Block> load() const;
  void calibrate_together(Block& block);
  void calibrate_batch(const Block& block, model::BlockState state, Collectors& collectors);
  void end_batch(std::size_t index, SiteCollector& collector) const;
  void propagate(const Block& block);
  void pass_in_sequence(Block& block);
  void pass_site(Block& block, Site site);
  void visit_all(const Block& block, Site site, SiteCollector* collector);
  [[nodiscard]] torch::Tensor visit(const Block& block, Site site, SiteCollector* collector,
                                    std::size_t index, const model::BlockState& state,
                                    model::BlockState* dense);
  void advance_all(const Block& block, Site site);
  [[nodiscard]] bool keeps_input(std::size_t index, const torch::Tensor& input,
                                 const model::BlockState& state);
  [[nodiscard]] SiteInput input_of(Site site, SiteCollector* collector);
  [[nodiscard]] std::optional<model::LinearInfo> first_selected(const Block& block,
                                                                Site site) const;
  [[nodiscard]] std::optional<SiteCollector> collector_for(const Block& block, Site site) const;
  /// Whether there is a block that reads what the present one gives.
  [[nodiscard]] bool output_is_read() const { return layer_ + 1 < walk_.model.spec().layers; }

  const BlockWalk& walk_;
  const SiteHandler& handle_;
  ranks::Lanes lanes_;    // of batches
  ranks::Range batches_;  // this rank's
  memory::ActivationSpace space_;
  memory::ActivationStore states_;                // of the compressed stream
  std::optional<memory::ActivationStore> dense_;  // of the dense stream; nothing: the same
  std::vector<SiteInput> waiting_;  // for the handler: several ranks share what several sites need
  bool residuals_part_ = false;     // whether the streams' residual streams have parted
  std::int64_t layer_ = 0;
};

void Walker::embed_windows(model::Model& model) {
  const StageTimer timer(walk_.timings, "propagate");
  walk_.model.read_ahead(0, walk_.placement);
  const auto ids = torch::from_blob(const_cast<std::int32_t*>(walk_.windows.ids.data()),
                                    {walk_.windows.windows, walk_.windows.seqlen}, torch::kInt32);
  const std::vector<torch::Tensor> all = ids.split(walk_.batch_windows);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const torch::Tensor& batch = all[static_cast<std::size_t>(batches_.first) + i];
    states_.put(i, {model.embed(batch.to(torch::kInt64), walk_.placement), {}});
  }
  if (states_.size() == 0) model.read_embedding(walk_.placement);
  model.release_ends();
}

std::unique_ptr<Block> Walker::load() const {
  const StageTimer timer(walk_.timings, "load");
  std::unique_ptr<Block> block = walk_.model.load_block(layer_, walk_.placement);
  walk_.model.read_ahead(layer_ + 1, walk_.placement);
  return block;
}

/// The first selected linear that reads a site.
std::optional<model::LinearInfo> Walker::first_selected(const Block& block, Site site) const {
  for (const model::LinearInfo& linear : block.linears()) {
    if (linear.site == site && walk_.selection.contains(layer_, linear.name)) return linear;
  }
  return std::nullopt;
}

/// Of a site that is handled with statistics.
std::optional<SiteCollector> Walker::collector_for(const Block& block, Site site) const {
  const std::optional<model::LinearInfo> first = first_selected(block, site);
  if (!first || (walk_.knows && walk_.knows(layer_, site))) return std::nullopt;
  const std::int64_t tokens = walk_.windows.windows * walk_.windows.seqlen;
  const std::int64_t wanted = walk_.sample_tokens;
  const std::int64_t stride = wanted == 0 ? 0 : std::max<std::int64_t>(1, tokens / wanted);
  return SiteCollector(walk_, lanes_, *first, stride);
}

/// A collector has seen this rank's batch `index`, maybe the last one of a lane.
void Walker::end_batch(std::size_t index, SiteCollector& collector) const {
  const std::int64_t batch = batches_.first + static_cast<std::int64_t>(index);
  if (lanes_.ends_lane(batch)) collector.end_lane();
}

/// Adds one batch's site inputs to the collectors, and computes nothing beyond the last of them.
void Walker::calibrate_batch(const Block& block, model::BlockState state, Collectors& collectors) {
  const StageTimer timer(walk_.timings, "calibrate");
  const Site last = collectors.rbegin()->first;
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
  for (std::size_t i = 0; !collectors.empty() && i < states_.size(); ++i) {
    check_interrupt();
    states_.fetch_ahead(i + 1);
    calibrate_batch(block, block.begin(states_.get(i).hidden), collectors);
    for (auto& [_, collector] : collectors) end_batch(i, collector);
  }
  for (int index = 0; index < model::kSites; ++index) {
    const Site site = static_cast<Site>(index);
    auto collected =
        collectors.extract(site);  // each H is freed as soon as its linears are handled
    if (!first_selected(block, site)) continue;
    waiting_.push_back(input_of(site, collected.empty() ? nullptr : &collected.mapped()));
    if (!walk_.world.alone()) continue;
    handle_(block, waiting_);
    waiting_.clear();
  }
  if (!waiting_.empty()) handle_(block, waiting_);
  waiting_.clear();
}

void Walker::propagate(const Block& block) {
  const StageTimer timer(walk_.timings, "propagate");
  if (!output_is_read()) return;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    check_interrupt();
    states_.fetch_ahead(i + 1);
    states_.put(i, {block.forward(states_.take(i).hidden), {}});
  }
}

void Walker::pass_in_sequence(Block& block) {
  for (int index = 0; index < model::kSites; ++index) {
    pass_site(block, static_cast<Site>(index));
  }
  if (!waiting_.empty()) handle_(block, waiting_);
  waiting_.clear();
}

void Walker::pass_site(Block& block, Site site) {
  std::optional<SiteCollector> collector = collector_for(block, site);
  if (collector && dense_) collector->follow_drift();
  if (first_selected(block, site) && walk_.dense_stream && !dense_) dense_ = states_.copy();
  if (collector || dense_) visit_all(block, site, collector ? &*collector : nullptr);
  if (first_selected(block, site)) {
    waiting_.push_back(input_of(site, collector ? &*collector : nullptr));
    if (walk_.world.alone() || !walk_.keeps_weights) {
      handle_(block, waiting_);
      waiting_.clear();
    }
  }
  residuals_part_ = residuals_part_ || (dense_ && adds_to_residual(site));
  if (site == Site::kMlpOut && !output_is_read()) return;
  advance_all(block, site);
}

/// Everything that is to be done at a site before the handler.
void Walker::visit_all(const Block& block, Site site, SiteCollector* collector) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    check_interrupt();
    model::BlockState dense;
    if (dense_) {
      dense_->fetch_ahead(i + 1);
      dense = begun(block, site, dense_->take(i));
    }
    model::BlockState state;
    if (collector != nullptr) {
      states_.fetch_ahead(i + 1);
      state = begun(block, site, states_.get(i));
    }
    const torch::Tensor input = visit(block, site, collector, i, state, dense_ ? &dense : nullptr);
    if (collector != nullptr) end_batch(i, *collector);
    if (dense_) dense_->put(i, dense);
    if (keeps_input(i, input, state)) states_.put(i, {state.hidden, input});
  }
}

/// Whether the input, when there is one, stays until the state goes on from it.
bool Walker::keeps_input(std::size_t index, const torch::Tensor& input,
                         const model::BlockState& state) {
  if (!walk_.keeps_norms || !input.defined()) return false;
  return !state.pending.defined() && !input.is_same(state.hidden) && states_.on_device(index);
}

void Walker::advance_all(const Block& block, Site site) {
  const StageTimer timer(walk_.timings, "propagate");
  for (std::size_t i = 0; i < states_.size(); ++i) {
    check_interrupt();
    states_.fetch_ahead(i + 1);
    model::BlockState state = begun(block, site, states_.take(i));
    const torch::Tensor input =
        state.pending.defined() ? std::move(state.pending) : block.site_input(site, state);
    block.advance(site, state, input);
    states_.put(i, state);
  }
}

/// What one batch has to do at a site before the handler: it is collected, and its dense stream
/// goes on. Returns the site's input when it is collected.
torch::Tensor Walker::visit(const Block& block, Site site, SiteCollector* collector,
                            std::size_t index, const model::BlockState& state,
                            model::BlockState* dense) {
  torch::Tensor input;
  if (collector != nullptr) {
    const StageTimer timer(walk_.timings, "calibrate");
    input = block.site_input(site, state);
    collector->add(input);
  }
  if (dense == nullptr) return input;
  torch::Tensor dense_input = input;  // the same where the streams are about to part
  if (collector == nullptr || collector->follows_drift()) {
    const StageTimer timer(walk_.timings, "dense_stream");
    dense_input = block.site_input(site, *dense);
  }
  if (collector != nullptr && collector->follows_drift()) {
    const StageTimer timer(walk_.timings, "drift");
    std::optional<StreamPair> residuals;
    if (walk_.residual_drift && residuals_part_ && adds_to_residual(site)) {
      residuals = {dense->hidden, state.hidden};
    }
    const std::int64_t batch = batches_.first + static_cast<std::int64_t>(index);
    collector->add_drift({dense_input, input}, residuals, batch * walk_.batch_windows);
  }
  if (site == Site::kMlpOut && !output_is_read()) return input;
  const StageTimer timer(walk_.timings, "dense_stream");
  block.advance(site, *dense, dense_input);
  return input;
}

/// What the handler is told of a site; a null collector: nothing.
SiteInput Walker::input_of(Site site, SiteCollector* collector) {
  if (collector == nullptr) return {layer_, site, {}, {}};
  const walk::StageTimer timer(walk_.timings, walk_.world.alone() ? "calibrate" : "exchange");
  return collector->finish(layer_);
}

}  // namespace

void walk_blocks(const BlockWalk& walk, const SiteHandler& handle) {
  ensure(walk.true_sequential || !walk.dense_stream,
         "pipeline: a dense stream beside a walk that is not true-sequential");
  ensure(walk.dense_stream || !walk.residual_drift,
         "pipeline: the residual stream's drift without a dense stream");
  const torch::NoGradGuard no_grad;
  Walker(walk, handle).run();
}

}  // namespace sgpt_mi::walk
