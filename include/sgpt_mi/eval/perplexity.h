#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sgpt_mi/eval/divergence.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/text/windows.h"

namespace sgpt_mi::eval {

struct PerplexityOptions {
  model::Placement placement;
  std::int64_t batch_windows = 4;  ///< windows in one forward, >= 1
  /// Called after every block with the number done and their total; may be empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  /// Filled with this model's final hidden states once all windows are scored; null: not kept.
  FinalStates* keep = nullptr;
  bool keep_head = false;  ///< also FinalStates::head: the models to compare may have other heads
  /// The dense model's states on the same windows, for PerplexityResult::divergence; may be null.
  const FinalStates* reference = nullptr;
  /// The ranks that share the windows, each whole batches; all have the same result and states.
  ranks::World world = {};
};

/// Perplexity over windows: inside each window logits[:-1] are scored against ids[1:].
struct PerplexityResult {
  double ppl = 0.0;         ///< exp(nll_mean)
  double nll_mean = 0.0;    ///< nats a token: mean of window_nll
  double nll_stderr = 0.0;  ///< standard error of nll_mean over windows (n - 1); 0 for one window
  double ppl_stderr = 0.0;  ///< ppl * nll_stderr (delta method)
  std::vector<double> window_nll;  ///< nats: mean over the window's seqlen - 1 targets
  std::int64_t windows = 0;
  std::int64_t seqlen = 0;
  std::optional<Divergence> divergence;  ///< from the dense model; only with a reference
};

/// Windows first, first + 1, ... as ids (count, seqlen) int64 on the CPU.
[[nodiscard]] torch::Tensor window_ids(const text::TokenWindows& windows, std::int64_t first,
                                       std::int64_t count);

/// Perplexity of a model on windows, each read from position 0 on its own:
///   window_nll = 1 / (seqlen - 1) * sum over t of log sum_v exp(logits_t[v]) - logits_t[ids_t+1].
///
/// Streams the model block by block over all windows, so that every weight is read once and one
/// block's weights and the activations (windows x seqlen x hidden) are in memory. The head is
/// applied to a few positions at a time (32 MB of logits and their log-softmax, in float32, or one
/// position's); means are taken in double.
///
/// With a reference, the dense model's logits are its head applied to the kept states, or this
/// model's head where none was kept. That is a second product with the head and a second
/// softmax (twice the time where the head is most of the model) and 80 MB more memory. In float16
/// and bfloat16 the logits themselves are rounded: KL then starts at about the mean square of that
/// rounding (for logits between 8 and 16: 5e-6 nats in float16, 3e-4 in bfloat16) and is exactly 0
/// only for equal states. Of equal logits the lowest id counts as the argmax.
///
/// Throws Error(kInput) when an id is outside the vocabulary, a window is longer than the model's
/// positions or shorter than 2, Error(kNumeric) naming a window whose loss or divergence is not
/// finite, Error(kInternal) when the reference does not match (FinalStates::require_match).
[[nodiscard]] PerplexityResult perplexity(model::Model& model, const text::TokenWindows& windows,
                                          const PerplexityOptions& options);

}  // namespace sgpt_mi::eval
