#include "block_walk.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sgpt_mi/core/interrupt.h"
#include "stage_clock.h"

namespace sgpt_mi::pipeline {
namespace {

using model::Block;
using model::Site;

/// Sums and sampled tokens of one site's input.
class SiteCollector {
 public:
  /// \param stride  every stride-th token is kept; 0: none.
  SiteCollector(calib::StatsAccumulator sums, std::int64_t stride)
      : sums_(std::move(sums)), stride_(stride) {}

  void add(const torch::Tensor& input) {
    sums_.add(input);
    if (stride_ == 0) return;
    const torch::Tensor tokens = input.reshape({-1, input.size(-1)});
    samples_.push_back(tokens.slice(0, 0, tokens.size(0), stride_).to(torch::kFloat32).clone());
  }

  [[nodiscard]] SiteInput finish(std::int64_t layer, Site site) {
    return {layer, site, sums_.finish(), samples_.empty() ? torch::Tensor() : at::cat(samples_)};
  }

 private:
  calib::StatsAccumulator sums_;
  std::int64_t stride_;
  std::vector<torch::Tensor> samples_;
};

/// One collector a site whose linears are selected, in forward order.
using Collectors = std::map<Site, SiteCollector>;

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
  void pass_site(Block& block, Site site, std::vector<model::BlockState>& states);
  void handle(Block& block, Site site, SiteCollector& collector);
  [[nodiscard]] std::optional<SiteCollector> collector_for(const Block& block, Site site) const;

  const BlockWalk& walk_;
  const SiteHandler& handle_;
  std::vector<torch::Tensor> hidden_;  // batches (b, T, hidden): inputs of the next block
  std::int64_t layer_ = 0;
};

void Walker::embed_windows() {
  const StageTimer timer(walk_.timings, "propagate");
  const text::TokenWindows& windows = walk_.windows;
  const auto all = torch::from_blob(const_cast<std::int32_t*>(windows.ids.data()),
                                    {windows.windows, windows.seqlen}, torch::kInt32);
  for (const torch::Tensor& ids : all.split(walk_.batch_windows)) {
    hidden_.push_back(walk_.model.embed(ids.to(torch::kInt64), walk_.placement));
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
      return SiteCollector({linear.name, linear.columns, walk_.placement.device}, stride);
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
    handle(block, first.key(), first.mapped());
  }
}

void Walker::propagate(const Block& block) {
  const StageTimer timer(walk_.timings, "propagate");
  if (layer_ + 1 == walk_.model.spec().layers) return;  // nobody reads the last block's output
  for (torch::Tensor& batch : hidden_) {
    check_interrupt();
    batch = block.forward(batch);
  }
}

void Walker::pass_in_sequence(Block& block) {
  std::vector<model::BlockState> states;
  states.reserve(hidden_.size());
  for (torch::Tensor& batch : hidden_) {
    states.push_back(block.begin(batch));
    batch = torch::Tensor();
  }
  for (int index = 0; index < model::kSites; ++index) {
    pass_site(block, static_cast<Site>(index), states);
  }
  for (std::size_t i = 0; i < states.size(); ++i) hidden_[i] = states[i].hidden;
}

void Walker::pass_site(Block& block, Site site, std::vector<model::BlockState>& states) {
  if (auto collector = collector_for(block, site)) {
    {
      const StageTimer timer(walk_.timings, "calibrate");
      for (const model::BlockState& state : states) {
        check_interrupt();
        collector->add(block.site_input(site, state));
      }
    }
    handle(block, site, *collector);
  }
  const StageTimer timer(walk_.timings, "propagate");
  for (model::BlockState& state : states) {
    check_interrupt();
    block.advance(site, state, block.site_input(site, state));
  }
}

void Walker::handle(Block& block, Site site, SiteCollector& collector) {
  SiteInput input;
  {
    const StageTimer timer(walk_.timings, "calibrate");
    input = collector.finish(layer_, site);
  }
  handle_(block, input);
}

}  // namespace

void walk_blocks(const BlockWalk& walk, const SiteHandler& handle) {
  const torch::NoGradGuard no_grad;
  Walker(walk, handle).run();
}

}  // namespace sgpt_mi::pipeline
