#include "sgpt_mi/eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/ranks/lanes.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::eval {

namespace {

void check_options(const PerplexityOptions& options) {
  if (options.batch_windows >= 1) return;
  fail(ErrorKind::kUsage, "eval: batch_windows is {}; expected 1 or more", options.batch_windows);
}

void check_windows(const text::TokenWindows& windows, const model::ModelSpec& spec) {
  if (windows.windows < 1 || windows.seqlen < 2) {
    fail(ErrorKind::kInput,
         "eval: {} windows of {} tokens; expected at least one window of 2 tokens or more",
         windows.windows, windows.seqlen);
  }
  ensure(static_cast<std::int64_t>(windows.ids.size()) == windows.windows * windows.seqlen,
         "eval: token windows whose ids do not fill windows x seqlen");
  model::require_window(spec, windows.seqlen);
  const auto [least, largest] = std::minmax_element(windows.ids.begin(), windows.ids.end());
  for (const std::int32_t id : {*least, *largest}) {
    if (id >= 0 && id < spec.vocab) continue;
    fail(ErrorKind::kInput,
         "eval: token id {}; the model's vocabulary has ids 0 to {}; is the tokenizer its own?", id,
         spec.vocab - 1);
  }
}

/// Some windows on their way through the model.
struct Batch {
  std::int64_t first;    ///< its first window
  torch::Tensor ids;     ///< (B, T) int64, CPU
  torch::Tensor hidden;  ///< (B, T, hidden)
};

/// This rank's batches, embedded.
std::vector<Batch> embed_all(model::Model& model, const text::TokenWindows& windows,
                             const PerplexityOptions& options) {
  const std::int64_t size = options.batch_windows;
  const ranks::Range mine = ranks::part_of((windows.windows + size - 1) / size,
                                           options.world.size(), options.world.rank());
  std::vector<Batch> batches;
  for (std::int64_t i = mine.first; i < mine.end; ++i) {
    check_interrupt();
    const std::int64_t count = std::min(size, windows.windows - i * size);
    Batch batch{i * size, window_ids(windows, i * size, count), {}};
    batch.hidden = model.embed(batch.ids, options.placement);
    batches.push_back(std::move(batch));
  }
  if (batches.empty()) model.read_embedding(options.placement);
  return batches;
}

void run_blocks(model::Model& model, std::vector<Batch>& batches,
                const PerplexityOptions& options) {
  const std::int64_t layers = model.spec().layers;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::unique_ptr<model::Block> block = model.load_block(layer, options.placement);
    model.read_ahead(layer + 1, options.placement);
    for (Batch& batch : batches) {
      check_interrupt();
      batch.hidden = block->forward(batch.hidden);
    }
    if (options.progress) options.progress(layer + 1, layers);
  }
}

/// What is scored at some positions.
struct Positions {
  torch::Tensor hidden;     ///< (N, head input): final hidden states
  torch::Tensor reference;  ///< (N, head input) of the dense model; undefined without a reference
  torch::Tensor head;       ///< FinalStates::head of the dense model
  torch::Tensor targets;    ///< (N) int64

  [[nodiscard]] std::int64_t size() const { return targets.size(0); }
};

/// Scores of positions are a float64 tensor (1, N) of negative log-likelihoods in nats; with a
/// reference (3, N): also KL(dense || this) in nats, and 1 where the argmax is the same, else 0.
torch::Tensor scores_of_logits(const torch::Tensor& logits, const torch::Tensor& dense_logits,
                               const torch::Tensor& targets) {
  const torch::Tensor log_q = at::log_softmax(logits, 1);
  std::vector<torch::Tensor> scores{
      at::nll_loss(log_q, targets, /*weight=*/{}, at::Reduction::None).to(torch::kFloat64)};
  if (dense_logits.defined()) {
    scores.push_back(kl_divergence(at::log_softmax(dense_logits, 1), log_q));
    scores.push_back(logits.argmax(1).eq(dense_logits.argmax(1)).to(torch::kFloat64));
  }
  return at::stack(scores);
}

/// Rows [begin, begin + count), or nothing of nothing.
torch::Tensor rows_of(const torch::Tensor& tensor, std::int64_t begin, std::int64_t count) {
  return tensor.defined() ? tensor.narrow(0, begin, count) : tensor;
}

/// Logits of hidden states in float32, or nothing of nothing.
torch::Tensor float_logits(model::Model& model, const torch::Tensor& hidden,
                           const model::Placement& where) {
  return hidden.defined() ? model.logits(hidden, where).to(torch::kFloat32) : hidden;
}

/// Logits of the dense model: by its own head, if that was kept.
torch::Tensor dense_logits(model::Model& model, const torch::Tensor& hidden,
                           const torch::Tensor& head, const model::Placement& where) {
  if (!hidden.defined() || !head.defined()) return float_logits(model, hidden, where);
  return model::Model::logits(hidden, head).to(torch::kFloat32);
}

/// Scores of positions, on the CPU. The head is applied to pieces of equal length, so that no more
/// than model::kLogitsAtOnce logits of a model exist at a time.
torch::Tensor position_scores(model::Model& model, const Positions& all,
                              const model::Placement& where) {
  const std::int64_t pieces = all.size() * model.spec().vocab / model::kLogitsAtOnce + 1;
  const std::int64_t length = (all.size() + pieces - 1) / pieces;
  // Made before the logits: what is kept must not lie between them, where it would part the memory
  // that the next piece's need.
  const torch::Tensor scores = at::empty({all.reference.defined() ? 3 : 1, all.size()},
                                         all.hidden.options().dtype(torch::kFloat64));
  for (std::int64_t begin = 0; begin < all.size(); begin += length) {
    const std::int64_t count = std::min(length, all.size() - begin);
    scores.narrow(1, begin, count)
        .copy_(scores_of_logits(
            float_logits(model, rows_of(all.hidden, begin, count), where),
            dense_logits(model, rows_of(all.reference, begin, count), all.head, where),
            all.targets.narrow(0, begin, count)));
  }
  return scores.to(torch::kCPU);
}

/// Final hidden states of a rank's windows.
struct KeptStates {
  torch::Tensor states;    ///< undefined: not kept
  std::int64_t first = 0;  ///< window
};

/// Room for those of some batches.
KeptStates room_for(const std::vector<Batch>& batches, const text::TokenWindows& windows,
                    const model::ModelSpec& spec, torch::ScalarType dtype) {
  if (batches.empty()) return {};
  const Batch& last = batches.back();
  const std::int64_t first = batches.front().first;
  return {
      at::empty({last.first + last.ids.size(0) - first, windows.seqlen - 1, spec.word_embed_dim},
                dtype),
      first};
}

/// Mean scores (1 or 3, B) of each window of a batch: logits at positions [:-1] against ids [1:].
/// Copies the final hidden states to `kept` when it is there.
torch::Tensor window_scores(model::Model& model, const Batch& batch, const KeptStates& kept,
                            const PerplexityOptions& options) {
  const model::Placement& where = options.placement;
  const std::int64_t count = batch.ids.size(0);
  const std::int64_t targets = batch.ids.size(1) - 1;
  const torch::Tensor hidden = model.final_hidden(batch.hidden.narrow(1, 0, targets), where);
  Positions positions;
  positions.hidden = hidden.flatten(0, 1);
  positions.targets = batch.ids.narrow(1, 1, targets).flatten().to(where.device);
  if (kept.states.defined()) kept.states.narrow(0, batch.first - kept.first, count).copy_(hidden);
  if (options.reference != nullptr) {
    positions.head = options.reference->head;
    // Copied on a CPU too: memory aligned as that of `hidden` gives equal states equal logits.
    positions.reference = options.reference->states.narrow(0, batch.first, count)
                              .flatten(0, 1)
                              .to(where.device, where.dtype, /*non_blocking=*/false, /*copy=*/true);
  }
  return position_scores(model, positions, where).view({-1, count, targets}).mean(2);
}

void require_finite_means(const torch::Tensor& scores, std::int64_t first) {
  for (std::int64_t score = 0; score < std::min<std::int64_t>(2, scores.size(0)); ++score) {
    for (std::int64_t window = 0; window < scores.size(1); ++window) {
      const double mean = scores[score][window].item<double>();
      if (std::isfinite(mean)) continue;
      fail(ErrorKind::kNumeric,
           "eval: the {} of window {} is {}; expected a finite number; a model stored in float16 "
           "may need --dtype float32",
           score == 0 ? "loss" : "divergence", first + window, mean);
    }
  }
}

/// Mean scores (1 or 3, windows) of all windows of all ranks.
torch::Tensor score_all(model::Model& model, std::vector<Batch>& batches, const KeptStates& kept,
                        const PerplexityOptions& options) {
  std::vector<torch::Tensor> parts;  // (windows, scores)
  for (Batch& batch : batches) {
    check_interrupt();
    const torch::Tensor scores = window_scores(model, batch, kept, options);
    require_finite_means(scores, batch.first);
    parts.push_back(scores.t().contiguous());
    batch.hidden.reset();
  }
  if (batches.empty()) model.read_head(options.placement);
  return ranks::gather_rows(options.world, parts.empty() ? torch::Tensor() : at::cat(parts),
                            torch::kCPU)
      .t();
}

std::vector<double> values_of(const torch::Tensor& row) {
  const torch::Tensor values = row.contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// sqrt(sum (v - mean)^2 / (n - 1) / n), 0 for one value.
double standard_error(const std::vector<double>& values, double mean) {
  if (values.size() < 2) return 0.0;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1.0) / n);
}

PerplexityResult result_of(const torch::Tensor& scores, const text::TokenWindows& windows) {
  PerplexityResult result;
  result.window_nll = values_of(scores[0]);
  result.windows = windows.windows;
  result.seqlen = windows.seqlen;
  result.nll_mean = mean_of(result.window_nll);
  result.nll_stderr = standard_error(result.window_nll, result.nll_mean);
  result.ppl = std::exp(result.nll_mean);
  result.ppl_stderr = result.ppl * result.nll_stderr;
  if (scores.size(0) > 1) {
    Divergence divergence;
    divergence.window_kl = values_of(scores[1]);
    divergence.kl_mean = mean_of(divergence.window_kl);
    divergence.kl_stderr = standard_error(divergence.window_kl, divergence.kl_mean);
    divergence.top1_agreement = mean_of(values_of(scores[2]));
    result.divergence = std::move(divergence);
  }
  return result;
}

}  // namespace

torch::Tensor window_ids(const text::TokenWindows& windows, std::int64_t first,
                         std::int64_t count) {
  const auto begin = windows.ids.begin() + first * windows.seqlen;
  const std::vector<std::int64_t> ids(begin, begin + count * windows.seqlen);
  return at::tensor(ids, torch::kInt64).view({count, windows.seqlen});
}

PerplexityResult perplexity(model::Model& model, const text::TokenWindows& windows,
                            const PerplexityOptions& options) {
  check_options(options);
  check_windows(windows, model.spec());
  if (options.reference != nullptr) {
    options.reference->require_match(windows, model.spec(), options.placement.dtype);
  }
  const at::NoGradGuard no_grad;
  std::vector<Batch> batches = embed_all(model, windows, options);
  run_blocks(model, batches, options);

  KeptStates kept;
  if (options.keep != nullptr) {
    kept = room_for(batches, windows, model.spec(), options.placement.dtype);
  }
  const torch::Tensor scores = score_all(model, batches, kept, options);
  if (options.keep != nullptr) {
    options.keep->states = ranks::gather_rows(options.world, kept.states, torch::kCPU);
    options.keep->token_sha256 = windows.sha256();
    options.keep->head = options.keep_head ? model.head(options.placement) : torch::Tensor();
  }
  return result_of(scores, windows);
}

}  // namespace sgpt_mi::eval
