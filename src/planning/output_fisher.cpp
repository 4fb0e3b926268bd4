#include "sgpt_mi/planning/output_fisher.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/ranks/lane_sum.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::planning {
namespace {

using model::Block;
using model::LinearInfo;

/// Tokens whose squares are summed in float32, few enough for its digits and for a cache.
constexpr std::int64_t kTokensAtOnce = 256;

/// Exponent of the largest element of a gradient that enters a block: float16 ends at 2^15 and
/// loses digits below 2^-14, and within a block gradients shrink more than they grow.
constexpr int kEntryExponent = 4;

/// A gradient of `scale` times the loss.
struct ScaledGradient {
  torch::Tensor value;
  double scale = 1.0;
};

/// float32, or the type itself where it is wider.
torch::ScalarType at_least_float(torch::ScalarType type) {
  return at::promote_types(type, torch::kFloat32);
}

/// The same gradient with its largest element in [2^kEntryExponent, 2^(kEntryExponent + 1)). Zeros
/// and what is not finite stay as they are: the sums of squares tell.
ScaledGradient rescaled(const ScaledGradient& gradient) {
  const auto [least, most] = gradient.value.aminmax();
  const double largest = std::max(std::abs(least.item<double>()), std::abs(most.item<double>()));
  if (largest == 0.0 || !std::isfinite(largest)) return gradient;
  const double factor = std::exp2(kEntryExponent - std::ilogb(largest));
  const torch::ScalarType type = gradient.value.scalar_type();
  return {gradient.value.to(at_least_float(type)).mul(factor).to(type), gradient.scale * factor};
}

/// The same gradient in host memory.
ScaledGradient on_host(const ScaledGradient& gradient) {
  return {gradient.value.to(torch::kCPU), gradient.scale};
}

/// d output / d input, times the gradient with respect to the output.
torch::Tensor pull_back(const torch::Tensor& output, const torch::Tensor& input,
                        const torch::Tensor& gradient) {
  return torch::autograd::grad({output}, {input}, {gradient})[0];
}

/// A tensor where gradients end.
torch::Tensor leaf(const torch::Tensor& value) { return value.detach().requires_grad_(true); }

/// Sum over tokens of the squares of (B, T, rows): (rows) float64.
torch::Tensor square_sums(const torch::Tensor& gradient) {
  torch::Tensor sums = at::zeros({gradient.size(-1)}, gradient.options().dtype(torch::kFloat64));
  for (const torch::Tensor& tokens : gradient.flatten(0, -2).split(kTokensAtOnce)) {
    sums.add_(tokens.to(at_least_float(tokens.scalar_type())).square().sum(0));
  }
  return sums;
}

class FisherPass {
 public:
  explicit FisherPass(const FisherRun& run)
      : run_(run),
        lanes_((run.windows_used + run.batch_windows - 1) / run.batch_windows, run.world.size()),
        batches_(lanes_.units_of_rank(run.world.rank())),
        first_(first_selected()) {}

  [[nodiscard]] std::map<std::string, torch::Tensor> compute() {
    const std::int64_t layers = run_.model.spec().layers;
    if (first_ == layers) return {};
    run_forward();
    start_at_head();
    for (std::int64_t layer = layers - 1; layer >= first_; --layer) pass_back(layer);
    if (run_.ends != nullptr && first_ == 0) finish_at_embedding();
    return std::move(fisher_);
  }

 private:
  [[nodiscard]] std::int64_t first_selected() const;
  void embed_windows();
  void run_forward();
  void start_at_head();
  [[nodiscard]] torch::Tensor head_gradient(const torch::Tensor& final_hidden,
                                            const torch::Tensor& targets);
  void add_at_head(const torch::Tensor& final_hidden, const torch::Tensor& p);
  void finish_at_embedding();
  void pass_back(std::int64_t layer);
  void watch_outputs(Block& block, std::int64_t layer);
  void clear_sums(const Block& block, std::int64_t layer);
  /// Whether this rank's batch is the last of a lane.
  [[nodiscard]] bool ends_lane(std::size_t batch) const {
    return lanes_.ends_lane(batches_.first + static_cast<std::int64_t>(batch));
  }
  [[nodiscard]] ranks::LaneSum sum_over_lanes(torch::Device device) const {
    return {run_.world, lanes_, device};
  }
  void finish(const LinearInfo& linear, const torch::Tensor& sums);
  [[nodiscard]] torch::Tensor on_device(const torch::Tensor& kept) const {
    return kept.to(run_.placement.device);
  }

  const FisherRun& run_;
  ranks::Lanes lanes_;              // of batches
  ranks::Range batches_;            // this rank's
  std::int64_t first_;              // the block where the pass back ends
  std::vector<torch::Tensor> ids_;  // batches (b, T) int64
  // In host memory: batches (b, T, hidden) that each block, and last the head, reads; and for each
  // batch the gradient with respect to the output of the block on its way.
  std::vector<std::vector<torch::Tensor>> inputs_;
  std::vector<ScaledGradient> gradients_;
  // Of the block on its way back: the scale of the batch's gradient, and squares by short name.
  double scale_ = 1.0;
  std::map<std::string, torch::Tensor> sums_;
  EndMoments ends_;  // of the lane at the head
  std::map<std::string, torch::Tensor> fisher_;
};

/// The first block with a selected linear; the number of blocks when there is none.
std::int64_t FisherPass::first_selected() const {
  const std::int64_t layers = run_.model.spec().layers;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    for (const LinearInfo& linear : run_.model.block_linears(layer)) {
      if (run_.selection.contains(layer, linear.name)) return layer;
    }
  }
  return layers;
}

void FisherPass::embed_windows() {
  const text::TokenWindows& windows = run_.windows;
  const auto end = windows.ids.begin() + run_.windows_used * windows.seqlen;
  const std::vector<std::int64_t> ids(windows.ids.begin(), end);
  const torch::Tensor all = at::tensor(ids, torch::kInt64).view({-1, windows.seqlen});
  inputs_.emplace_back();
  const std::vector<torch::Tensor> batches = all.split(run_.batch_windows);
  for (std::int64_t i = batches_.first; i < batches_.end; ++i) {
    ids_.push_back(batches[static_cast<std::size_t>(i)]);
    inputs_[0].push_back(run_.model.embed(ids_.back(), run_.placement).to(torch::kCPU));
  }
  if (ids_.empty()) run_.model.read_embedding(run_.placement);
  run_.model.release_ends();
}

void FisherPass::run_forward() {
  const at::NoGradGuard no_grad;
  embed_windows();
  for (std::int64_t layer = 0; layer < run_.model.spec().layers; ++layer) {
    check_interrupt();
    const std::unique_ptr<Block> block = run_.model.load_block(layer, run_.placement);
    run_.model.read_ahead(layer + 1, run_.placement);
    std::vector<torch::Tensor> outputs;
    for (const torch::Tensor& batch : inputs_.back()) {
      check_interrupt();
      outputs.push_back(block->forward(on_device(batch)).to(torch::kCPU));
    }
    if (layer < first_) inputs_.back().clear();
    inputs_.push_back(std::move(outputs));
  }
}

/// The loss's gradient with respect to final hidden states (N, head input), piece by piece.
torch::Tensor FisherPass::head_gradient(const torch::Tensor& final_hidden,
                                        const torch::Tensor& targets) {
  const std::int64_t tokens = targets.size(0);
  const std::int64_t length =
      std::max<std::int64_t>(1, model::kLogitsAtOnce / run_.model.spec().vocab);
  torch::Tensor gradient = at::empty_like(final_hidden);
  for (std::int64_t begin = 0; begin < tokens; begin += length) {
    const std::int64_t count = std::min(length, tokens - begin);
    const torch::Tensor piece = leaf(final_hidden.narrow(0, begin, count));
    const torch::Tensor logits = run_.model.logits(piece, run_.placement);
    const at::NoGradGuard no_grad;
    torch::Tensor p = at::softmax(logits.to(at_least_float(logits.scalar_type())), -1);
    if (run_.ends != nullptr) add_at_head(piece.detach(), p);
    // The cross-entropy's gradient with respect to the logits: p, less 1 at the targets.
    p.scatter_add_(1, targets.narrow(0, begin, count).unsqueeze(1),
                   -at::ones({count, 1}, p.options()));
    gradient.narrow(0, begin, count).copy_(pull_back(logits, piece, p.to(logits.scalar_type())));
  }
  return gradient;
}

/// Adds some tokens, with the probabilities of all ids after them, to the means at the head.
void FisherPass::add_at_head(const torch::Tensor& final_hidden, const torch::Tensor& p) {
  EndMoments& ends = ends_;
  const double share = 1.0 / static_cast<double>(run_.windows_used * (run_.windows.seqlen - 1));
  const torch::Tensor states = final_hidden.to(torch::kFloat64);
  const torch::Tensor moment = states.t().matmul(states).to(torch::kCPU);
  if (!ends.hidden.defined()) {
    ends.hidden = at::zeros_like(moment);
    ends.logit = at::zeros({p.size(1)}, moment.options());
    ends.probability = at::zeros({p.size(1)}, moment.options());
  }
  ends.hidden.add_(moment, share);
  ends.logit.add_((1.0 - p).mul_(p).sum(0).to(torch::kCPU), share);
  ends.probability.add_(p.sum(0).to(torch::kCPU), share);
}

void FisherPass::finish_at_embedding() {
  const auto tokens = static_cast<double>(run_.windows_used * run_.windows.seqlen);
  ranks::LaneSum total = sum_over_lanes(torch::kCPU);
  torch::Tensor sum;
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    const ScaledGradient& batch = gradients_[i];
    const torch::Tensor g = batch.value.flatten(0, -2).to(torch::kFloat64) / batch.scale;
    const torch::Tensor moment = g.t().matmul(g) / tokens;
    sum = sum.defined() ? sum + moment : moment;
    if (ends_lane(i)) total.add({{std::exchange(sum, {})}, {}});
  }
  run_.ends->gradient = total.finish().sums[0];
}

/// Gradients with respect to the last block's output: position t is scored against id t + 1.
void FisherPass::start_at_head() {
  const std::int64_t scored = run_.windows.seqlen - 1;
  ranks::LaneSum total = sum_over_lanes(torch::kCPU);
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    check_interrupt();
    const torch::Tensor hidden = leaf(on_device(inputs_.back()[i]));
    const torch::Tensor final_hidden =
        run_.model.final_hidden(hidden.narrow(1, 0, scored), run_.placement);
    const torch::Tensor targets = on_device(ids_[i].narrow(1, 1, scored).flatten());
    const ScaledGradient at_final =
        rescaled({head_gradient(final_hidden.detach().flatten(0, 1), targets), 1.0});
    const torch::Tensor gradient =
        pull_back(final_hidden, hidden, at_final.value.view_as(final_hidden));
    gradients_.push_back(on_host(rescaled({gradient, at_final.scale})));
    if (run_.ends == nullptr || !ends_lane(i)) continue;
    const EndMoments of_lane = std::exchange(ends_, {});
    total.add({{of_lane.hidden, of_lane.logit, of_lane.probability}, {}});
  }
  if (ids_.empty()) run_.model.read_head(run_.placement);
  if (run_.ends != nullptr) {
    const std::vector<torch::Tensor> sums = total.finish().sums;
    *run_.ends = {sums[0], sums[1], sums[2], {}};
  }
  inputs_.pop_back();
  run_.model.release_ends();
}

/// Makes the block add the squares of its selected linears' output gradients to sums_.
void FisherPass::watch_outputs(Block& block, std::int64_t layer) {
  clear_sums(block, layer);
  block.set_output_observer([this](const std::string& short_name, const torch::Tensor& output) {
    const auto found = sums_.find(short_name);
    if (found == sums_.end()) return;
    output.register_hook([this, sums = found->second](const torch::Tensor& gradient) {
      sums.add_(square_sums(gradient), 1.0 / (scale_ * scale_));
    });
  });
}

void FisherPass::clear_sums(const Block& block, std::int64_t layer) {
  sums_.clear();
  for (const LinearInfo& linear : block.linears()) {
    if (!run_.selection.contains(layer, linear.name)) continue;
    const auto options = torch::TensorOptions(run_.placement.device).dtype(torch::kFloat64);
    sums_.emplace(linear.short_name, at::zeros({linear.rows}, options));
  }
}

/// Takes the gradients from the block's output to its input.
void FisherPass::pass_back(std::int64_t layer) {
  const std::unique_ptr<Block> block = run_.model.load_block(layer, run_.placement);
  if (layer > first_) run_.model.read_ahead(layer - 1, run_.placement);
  watch_outputs(*block, layer);
  ranks::LaneSum total = sum_over_lanes(run_.placement.device);
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    check_interrupt();
    scale_ = gradients_[i].scale;
    const torch::Tensor input = leaf(on_device(inputs_.back()[i]));
    const torch::Tensor gradient =
        pull_back(block->forward(input), input, on_device(gradients_[i].value));
    gradients_[i] = on_host(rescaled({gradient, scale_}));
    if (!ends_lane(i)) continue;
    std::vector<torch::Tensor> sums;
    for (const auto& [_, squares] : sums_) sums.push_back(squares);
    total.add({std::move(sums), {}});
    clear_sums(*block, layer);
  }
  const std::vector<torch::Tensor> sums = total.finish().sums;
  for (const LinearInfo& linear : block->linears()) {
    const auto found = sums_.find(linear.short_name);
    if (found == sums_.end()) continue;
    finish(linear, sums[static_cast<std::size_t>(std::distance(sums_.begin(), found))]);
  }
  inputs_.pop_back();
}

void FisherPass::finish(const LinearInfo& linear, const torch::Tensor& sums) {
  const auto tokens = static_cast<double>(run_.windows_used * run_.windows.seqlen);
  torch::Tensor mean = sums.to(torch::kCPU) / tokens;
  const torch::Tensor bad = at::isfinite(mean).logical_not().nonzero();
  if (bad.size(0) > 0) {
    const std::int64_t row = bad[0].item<std::int64_t>();
    fail(ErrorKind::kNumeric,
         "pipeline: the loss's sensitivity to output {} of {} is {}; expected a finite number; a "
         "model stored in float16 may need --dtype float32",
         row, linear.name, std::isnan(mean[row].item<double>()) ? "NaN" : "infinite");
  }
  fisher_.emplace(linear.name, std::move(mean));
}

void check(const FisherRun& run) {
  ensure(run.windows_used >= 1 && run.windows_used <= run.windows.windows,
         "pipeline: sensitivities from more windows than there are, or from none");
  ensure(run.batch_windows >= 1, "pipeline: sensitivities in batches of no window");
  if (run.windows.seqlen >= 2) return;
  fail(ErrorKind::kInput,
       "pipeline: windows of {} tokens for the loss's sensitivities; expected 2 or more",
       run.windows.seqlen);
}

}  // namespace

std::map<std::string, torch::Tensor> output_fisher(const FisherRun& run) {
  check(run);
  const walk::StageTimer timer(run.timings, "fisher");
  const at::AutoGradMode with_gradients(true);
  return FisherPass(run).compute();
}

}  // namespace sgpt_mi::planning
