#include "memory_counts.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <array>

#include "sgpt_mi/ranks/lanes.h"

namespace sgpt_mi::memory {
namespace {

constexpr std::int64_t kFloat = 4;

/// Two sets of logits in the compute type and in float32, their log-softmax, and the three
/// temporaries of a divergence.
constexpr std::int64_t kBytesPerLogit = 2 * kFloat + 2 * kFloat + 2 * kFloat + 3 * kFloat;

/// Windows that eval::PerplexityOptions takes at a time.
constexpr std::int64_t kScoredWindows = 4;

/// Bytes a weight of the largest linear while it is compressed. One sweep: the weights as given,
/// swept, in another order, their difference, scores, the mask, codes and what is saved.
constexpr std::int64_t kSweepBytes = 5 * kFloat + 4;
/// Columns whose errors a sweep keeps: kFarBlock of obs/sweep.cpp.
constexpr std::int64_t kFarColumns = 1024;
/// With widths of its own also squares and magnitudes in float64.
constexpr std::int64_t kWidthBytes = 16;
/// The refinement: given, target, weights, five vectors of the conjugate gradients and two
/// temporaries, mask, codes and what is saved.
constexpr std::int64_t kRefineBytes = 11 * kFloat + 6;
/// The curves: target, weights of two levels, the gradient, scores, a sweep, masks and codes.
constexpr std::int64_t kCurveBytes = 10 * kFloat + 6;
/// Tuning: a block's weights with their factors, their gradient, their offsets, and what
/// expressions need of them.
constexpr std::int64_t kTuneBytes = 5 * kFloat;
/// Two sets of logits in the compute type and in float32, their log-softmax, the gradient.
constexpr std::int64_t kTuneBytesPerLogit = 2 * kFloat + 2 * kFloat + 2 * kFloat + 2 * kFloat;
/// Of a matrix that a GPU decodes: packed, as levels of 16 bits, and which of them are not 0.
constexpr std::int64_t kPackedBytes = 1 + 2 + 1;
/// Of a linear that waits for the end of the model: weights, mask, codes.
constexpr std::int64_t kPendingBytes = kFloat + 2;

}  // namespace

MemoryCounts::MemoryCounts(const MemoryQuestion& question)
    : question_(question),
      sites_(model::kSites),
      element_(static_cast<std::int64_t>(c10::elementSize(question.placement.dtype))),
      hidden_(question.model.spec().hidden) {
  for (const model::LinearInfo& linear : question.model.block_linears(0)) {
    SiteShape& site = sites_[static_cast<std::size_t>(linear.site)];
    const std::int64_t count = linear.rows * linear.columns;
    site.columns = linear.columns;
    site.largest = std::max(site.largest, count);
    widest_ = std::max(widest_, linear.columns);
    largest_ = std::max(largest_, count);
    block_ += count;
  }
  ends_ = std::max<std::int64_t>(0, question.parameters - block_ * question.model.spec().layers);
}

/// Of the embedding or the head what weights() counts of the largest linear, on a GPU.
std::int64_t MemoryCounts::end_on_its_way() const {
  if (!question_.placement.device.is_cuda()) return 0;
  const std::int64_t packed = question_.decodes ? kPackedBytes : 0;
  const model::ModelSpec& spec = question_.model.spec();
  return spec.vocab * spec.word_embed_dim * (question_.stored_bytes + packed);
}

/// Two blocks on a GPU, with the tensor that is on its way in its stored type, and its packed bytes
/// and levels.
std::int64_t MemoryCounts::weights() const {
  if (!question_.placement.device.is_cuda()) return block_ * element_;
  const std::int64_t packed = question_.decodes ? kPackedBytes : 0;
  return 2 * block_ * element_ + largest_ * (question_.stored_bytes + packed);
}

/// Temporaries of one block on some tokens. Attention: the norm (in float32 too), q, k, v, their
/// rotated copies and the output; MLP: the norm, what up to two linears give, and the sum.
std::int64_t MemoryCounts::block_forward(std::int64_t tokens) const {
  const std::int64_t norm = hidden_ * (2 * element_ + (element_ < kFloat ? 2 : 1) * kFloat);
  const std::int64_t attention = norm + 8 * hidden_ * element_;
  const std::int64_t mlp = norm + (2 * widest_ + 2 * hidden_) * element_;
  return tokens * std::max(attention, mlp);
}

/// A forward with what its statistics need: float32 copies of the input, and with drift also of the
/// dense input and their difference; a GPU takes magnitudes besides.
std::int64_t MemoryCounts::forward(std::int64_t batch) const {
  const std::int64_t tokens = batch * question_.seqlen;
  const bool gpu = question_.placement.device.is_cuda();
  const std::int64_t copies = (element_ < kFloat ? 1 : 0) + (gpu ? 1 : 0);
  const std::int64_t drift = question_.dense_stream ? copies + 1 : 0;
  const std::int64_t samples = tokens * widest_ * kFloat * (copies + drift);
  return std::max(block_forward(tokens) + state_bytes(batch),
                  samples + 2 * state_bytes(batch) + tokens * hidden_ * element_);
}

/// What autograd keeps of a block, and the gradients on their way back.
std::int64_t MemoryCounts::graph(std::int64_t tokens) const {
  const std::int64_t kept = tokens * (16 * hidden_ + 8 * widest_) * element_;
  const std::int64_t norms = tokens * 4 * hidden_ * kFloat;
  const model::ModelSpec& spec = question_.model.spec();
  // A window narrower than the text is a mask, with which attention keeps its (T, T) weights.
  const bool masked = spec.sliding_window && *spec.sliding_window < question_.seqlen;
  const std::int64_t maps = masked ? 4 * spec.heads * tokens * question_.seqlen * kFloat : 0;
  return kept + norms + maps;
}

std::int64_t MemoryCounts::state_bytes(std::int64_t batch) const {
  return batch * question_.seqlen * (hidden_ + widest_) * element_;
}

std::int64_t MemoryCounts::pinned_state(std::int64_t batch) const {
  const std::int64_t tokens = batch * question_.seqlen;
  return pinned_bytes(tokens * hidden_ * element_) + pinned_bytes(tokens * widest_ * element_);
}

std::int64_t MemoryCounts::fetched(std::int64_t batch) const {
  const std::int64_t streams = question_.dense_stream ? 2 : 1;
  const std::int64_t batches = question_.placement.device.is_cuda() ? 2 : 1;
  return batches * streams * state_bytes(batch);
}

/// Hidden states of windows, and between two sites what is pending.
std::int64_t MemoryCounts::states(std::int64_t windows, int streams, bool between_sites) const {
  const std::int64_t width = hidden_ + (between_sites ? widest_ : 0);
  return streams * windows * question_.seqlen * width * element_;
}

std::int64_t MemoryCounts::activations(const std::string& phase) const {
  if (phase == "curves") return states(own(question_.measured_windows), 1, true);
  if (phase == "plan check") return states(question_.measured_windows, 1, true);
  if (phase != "calibration" && phase != "solving") return 0;
  const int streams = question_.dense_stream ? 2 : 1;
  return states(own(question_.windows), streams, question_.true_sequential);
}

std::int64_t MemoryCounts::largest_activations() const {
  return std::max({activations("calibration"), activations("curves"), activations("plan check")});
}

/// The sums that calibration fills: H of the sites held at once, with drift also two halves of the
/// cross moment, and of the residual stream's where that is corrected.
std::int64_t MemoryCounts::sums(bool together, bool drift) const {
  std::int64_t held = 0;
  for (const SiteShape& site : sites_) {
    const std::int64_t square = kFloat * site.columns * site.columns;
    std::int64_t bytes = drift ? 3 * square : square;
    if (drift && question_.corrects_residual) bytes += 2 * kFloat * hidden_ * site.columns;
    held = together ? held + bytes : std::max(held, bytes);
  }
  return held;
}

/// Beside the sums: H, and at once the ordered and damped copies, the factor and its inverse, in
/// float64 where float32 did not do (cholesky/factor.cpp).
std::int64_t MemoryCounts::factor_workspace() const { return 10 * kFloat * widest_ * widest_; }

/// Beside the sums: H, its factor, H damped, the cross moments scaled and their mean, which stay as
/// long as the site is at work, or the affinity of groups; and the copies of the largest linear
/// that reads the site.
std::int64_t MemoryCounts::solve_workspace() const {
  const bool refines = question_.refines;
  const std::int64_t squares = 2 + (refines ? 1 : 0) + (question_.corrects_drift ? 3 : 0) +
                               (question_.groups_channels ? 3 : 0);
  std::int64_t bytes_a_weight = refines ? kRefineBytes : kSweepBytes;
  if (question_.chooses_widths) bytes_a_weight += kWidthBytes;
  if (question_.corrects_drift)
    bytes_a_weight += 3 * kFloat;  // D, whitened, its correction; of a residual stream its halves
  std::int64_t most = 0;
  for (const SiteShape& site : sites_) {
    const std::int64_t errors = kFloat * kFarColumns * site.largest / site.columns;
    most = std::max(most, squares * kFloat * site.columns * site.columns +
                              bytes_a_weight * site.largest + errors);
  }
  return most;
}

std::int64_t MemoryCounts::curve_workspace() const {
  std::int64_t most = 0;
  for (const SiteShape& site : sites_) {
    const std::int64_t errors = kFloat * kFarColumns * site.largest / site.columns;
    most = std::max(most,
                    3 * kFloat * site.columns * site.columns + kCurveBytes * site.largest + errors);
  }
  return most;
}

std::int64_t MemoryCounts::stored_weights() const {
  return block_ * question_.model.spec().layers * question_.stored_bytes;
}

/// Batches as walk::walk_blocks() shares them, of as many windows as on a
/// CPU.
ranks::Lanes MemoryCounts::lanes_of(std::int64_t windows) const {
  constexpr std::int64_t kBatch = 4;
  return {std::max<std::int64_t>(1, (windows + kBatch - 1) / kBatch), question_.ranks};
}

/// The most windows that one of the ranks has.
std::int64_t MemoryCounts::own(std::int64_t windows) const {
  if (question_.ranks == 1) return windows;
  const ranks::Lanes lanes = lanes_of(windows);
  std::int64_t most = 0;
  for (int rank = 0; rank < question_.ranks; ++rank) {
    most = std::max(most, lanes.units_of_rank(rank).count());
  }
  return std::min(windows, (windows + lanes.units() - 1) / lanes.units() * most);
}

/// Sums of lanes that wait on the host for others (ranks::LaneSum): the total, or, of a rank with
/// others before it, all that it has.
void MemoryCounts::add_waiting(MemoryPhase& phase, std::int64_t windows, std::int64_t sums,
                               int ranks) const {
  const ranks::Lanes lanes = lanes_of(windows);
  std::int64_t most = lanes.count() > 1 ? 1 : 0;
  for (int rank = 1; rank < ranks; ++rank) {
    most = std::max(most, lanes.lanes_of_rank(rank).count());
  }
  phase.host.push_back({"sums of lanes", most * sums});
}

/// What the host holds from the first scoring on, or collects.
void MemoryCounts::add_results(MemoryPhase& phase) const {
  std::int64_t states = 0;
  for (const std::int64_t windows : question_.eval_windows) {
    states += windows * question_.eval_seqlen * question_.model.spec().word_embed_dim * element_;
  }
  phase.host.push_back({"dense final states", states});
}

MemoryPhase MemoryCounts::scoring(const char* name) const {
  std::int64_t windows = 0;
  for (const std::int64_t set : question_.eval_windows) windows = std::max(windows, own(set));
  const std::int64_t tokens = std::min(kScoredWindows, windows) * question_.eval_seqlen;
  const std::int64_t logits = std::min(tokens * question_.model.spec().vocab, model::kLogitsAtOnce);
  MemoryPhase phase{name, {}, {}};
  phase.device = {{"blocks", weights()},
                  {"embedding and head", ends_ * element_ + end_on_its_way()},
                  {"states", windows * question_.eval_seqlen * hidden_ * element_},
                  {"forward", block_forward(tokens)},
                  {"logits", logits * kBytesPerLogit + 2 * tokens * hidden_ * element_}};
  add_results(phase);
  return phase;
}

MemoryPhase MemoryCounts::sensitivities() const {
  MemoryPhase phase{"sensitivities", {}, {}};
  const std::int64_t layers = question_.model.spec().layers;
  const std::int64_t logits =
      std::min(question_.seqlen * question_.model.spec().vocab, model::kLogitsAtOnce);
  phase.device = {{"blocks", weights()},
                  {"embedding and head", ends_ * element_},
                  {"gradients", graph(question_.seqlen) + logits * 5 * kFloat}};
  phase.host = {
      {"inputs of all blocks", (layers + 2) * states(own(question_.measured_windows), 1, false)}};
  add_results(phase);
  return phase;
}

MemoryPhase MemoryCounts::curves(std::int64_t batch) const {
  MemoryPhase phase{"curves", {}, {}};
  phase.device = {{"blocks", weights()},
                  {"H", sums(question_.ranks > 1, false)},
                  {"forward", forward(std::min(batch, question_.measured_windows))},
                  {"workspace", std::max(factor_workspace(), curve_workspace())}};
  add_waiting(phase, question_.measured_windows, sums(false, false), question_.ranks);
  add_results(phase);
  return phase;
}

MemoryPhase MemoryCounts::check(std::int64_t batch) const {
  MemoryPhase phase{"plan check", {}, {}};
  const std::int64_t states_bytes = question_.held_out_windows * question_.seqlen *
                                    (hidden_ + question_.model.spec().word_embed_dim) * element_;
  phase.device = {{"blocks", weights()},
                  {"embedding and head", ends_ * element_},
                  {"states", states_bytes},
                  {"logits", std::min(batch * question_.seqlen * question_.model.spec().vocab,
                                      model::kLogitsAtOnce) *
                                 kBytesPerLogit},
                  {"H", sums(!question_.true_sequential, false)},
                  {"forward", forward(std::min(batch, question_.measured_windows))},
                  {"workspace", std::max(factor_workspace(), solve_workspace())}};
  phase.host = {{"weights of a trial", stored_weights()}};
  add_waiting(phase, question_.measured_windows, sums(!question_.true_sequential, false), 1);
  add_results(phase);
  return phase;
}

/// Compressed linears of the whole model.
std::int64_t MemoryCounts::pending() const {
  return question_.model.spec().layers * block_ * kPendingBytes;
}

MemoryPhase MemoryCounts::calibration(std::int64_t batch) const {
  MemoryPhase phase{"calibration", {}, {}};
  const bool drift = question_.dense_stream;
  const std::int64_t samples = question_.sampled_tokens * widest_ * kFloat;
  phase.device = {{"blocks", weights()},
                  {"H", sums(!question_.true_sequential, drift)},
                  {"forward", forward(batch) + samples}};
  add_waiting(phase, question_.windows, sums(!question_.true_sequential, drift), question_.ranks);
  if (question_.tuned_windows > 0) phase.device.push_back({"waiting linears", pending()});
  add_results(phase);
  return phase;
}

MemoryPhase MemoryCounts::solving() const {
  MemoryPhase phase{"solving", {}, {}};
  const bool drift = question_.dense_stream;
  phase.device = {{"blocks", weights()},
                  {"H", sums(!question_.true_sequential, drift)},
                  {"workspace", std::max(factor_workspace(), solve_workspace())}};
  if (question_.tuned_windows > 0) phase.device.push_back({"waiting linears", pending()});
  phase.host = {{"codes of a linear", 5 * largest_}};
  add_results(phase);
  return phase;
}

MemoryPhase MemoryCounts::tuning(std::int64_t batch) const {
  MemoryPhase phase{"tuning", {}, {}};
  const std::int64_t tokens = batch * question_.seqlen;
  const std::int64_t layers = question_.model.spec().layers;
  const std::int64_t logits = std::min(tokens * question_.model.spec().vocab, model::kLogitsAtOnce);
  phase.device = {{"blocks", weights()},
                  {"embeddings and heads", 2 * ends_ * element_},  // the dense model's too
                  {"logits", logits * kTuneBytesPerLogit},
                  {"waiting linears", 2 * pending()},  // as they were, until the result is judged
                  {"tuned values", block_ * kTuneBytes},
                  {"inputs of blocks", (layers + 1) * tokens * hidden_ * element_},
                  {"gradients", graph(tokens)}};
  phase.host = {{"dense states", states(question_.tuned_windows, 1, false)}};
  add_results(phase);
  return phase;
}

std::vector<MemoryPhase> MemoryCounts::phases(std::int64_t batch) const {
  constexpr std::int64_t kShardBytes = 1'000'000'000;  // formats::PackedWriter fills one in memory
  std::vector<MemoryPhase> phases;
  const bool scores = !question_.eval_windows.empty();
  if (scores) phases.push_back(scoring("scoring the dense model"));
  if (question_.measured_windows > 0) {
    if (question_.backward_pass) phases.push_back(sensitivities());
    phases.push_back(curves(batch));
    if (question_.held_out_windows > 0) phases.push_back(check(batch));
  }
  const std::size_t first = phases.size();
  phases.push_back(calibration(batch));
  phases.push_back(solving());
  if (question_.tuned_windows > 0) phases.push_back(tuning(batch));
  if (scores) phases.push_back(scoring("scoring the compressed model"));
  for (std::size_t i = first; i < phases.size(); ++i) {
    if (question_.keeps_weights) {
      phases[i].host.push_back({"compressed weights", stored_weights()});
    } else if (question_.packs) {
      phases[i].host.push_back({"a shard", std::min(kShardBytes, stored_weights())});
    }
  }
  return phases;
}

}  // namespace sgpt_mi::memory
