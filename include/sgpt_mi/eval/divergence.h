#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/model/model.h"
#include "sgpt_mi/text/windows.h"

namespace sgpt_mi::eval {

/// What a model's head reads at every scored position: hidden states after the final norm and the
/// projections before the head. Kept from the dense run, they stand for its distributions at
/// hidden / vocab of the logits' size.
struct FinalStates {
  torch::Tensor states;      ///< (windows, seqlen - 1, head input), compute dtype, in host memory
  std::string token_sha256;  ///< of the windows that were read
  /// The dense model's head (vocab, head input); undefined: the compressed model's is the same.
  torch::Tensor head = {};

  /// Throws Error(kInternal) with both shapes and types, unless these are the states of `windows`
  /// under a model of this spec, computed in `dtype`.
  void require_match(const text::TokenWindows& windows, const model::ModelSpec& spec,
                     torch::ScalarType dtype) const;
};

/// How far a compressed model's next-token distributions q are from the dense model's p. Perplexity
/// hides damage that happens to help on some tokens; the divergence does not.
struct Divergence {
  double kl_mean = 0.0;           ///< KL(p || q), nats a token: mean of window_kl
  double kl_stderr = 0.0;         ///< standard error of kl_mean over windows (n - 1); 0 for one
  std::vector<double> window_kl;  ///< nats: mean over the window's seqlen - 1 scored positions
  double top1_agreement = 0.0;    ///< share of scored positions where p and q have one argmax
};

/// KL(p || q) in nats of each row, float64 (N) on the device of its inputs:
///
///     KL = sum_v p_v (ln p_v - ln q_v) = sum_v [q_v - p_v + p_v (ln p_v - ln q_v)]
///
/// The second form is the sum that is taken, as both distributions sum to 1: its terms are second
/// order in ln q - ln p, so that the rounding of the two normalizations, which limits the first
/// form to about 1e-6 nats, cancels. Terms in float32, their sum in float64: a row is exact to
/// float32's epsilon, 1e-7 nats (it may be that much below 0), and to 1e-5 of its value, a mean
/// over many rows to about 1e-9 nats. Equal rows give exactly 0.
///
/// \param log_p, log_q  (N, vocab) float32: natural logarithms of distributions (log-softmax).
/// \throws Error(kInternal) other shapes or types.
[[nodiscard]] torch::Tensor kl_divergence(const torch::Tensor& log_p, const torch::Tensor& log_q);

}  // namespace sgpt_mi::eval
