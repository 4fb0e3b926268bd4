#include "sgpt_mi/eval/divergence.h"

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::eval {

void FinalStates::require_match(const text::TokenWindows& windows, const model::ModelSpec& spec,
                                torch::ScalarType dtype) const {
  ensure(states.defined() && states.is_cpu(), "eval: final states that were never kept");
  const std::vector<std::int64_t> expected{windows.windows, windows.seqlen - 1,
                                           spec.word_embed_dim};
  if (states.sizes() != expected || states.scalar_type() != dtype) {
    fail(ErrorKind::kInternal,
         "eval: final states ({}) of {}; expected ({}) of {}, as this run computes them",
         fmt::join(states.sizes(), ", "), c10::toString(states.scalar_type()),
         fmt::join(expected, ", "), c10::toString(dtype));
  }
  ensure(token_sha256 == windows.sha256(), "eval: final states of other tokens than these windows");
}

torch::Tensor kl_divergence(const torch::Tensor& log_p, const torch::Tensor& log_q) {
  ensure(log_p.dim() == 2 && log_p.sizes() == log_q.sizes() &&
             log_p.scalar_type() == torch::kFloat32 && log_q.scalar_type() == torch::kFloat32,
         "eval: a divergence of other than two (N, vocab) float32 tensors");
  const torch::Tensor p = log_p.exp();
  // q - p first: where the two are close the difference is exact
  const torch::Tensor terms = log_q.exp().sub_(p).addcmul_(p, log_p - log_q);
  return terms.sum(1, /*keepdim=*/false, torch::kFloat64);
}

}  // namespace sgpt_mi::eval
