#include "sgpt_mi/tuning/tune_model.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/eval/perplexity.h"
#include "student_block.h"

namespace sgpt_mi::tuning {
namespace {

/// One of so many windows judges the result.
constexpr std::int64_t kJudged = 8;
constexpr int kMostHalvings = 4;

/// Windows that are read together.
struct Batch {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

class Tuner {
 public:
  Tuner(const ModelTuning& run, std::vector<CompressedLinear>& linears)
      : run_(run), linears_(linears) {
    eval::PerplexityOptions options{run.placement, run.batch_windows, {}, &dense_};
    options.keep_head = true;
    static_cast<void>(eval::perplexity(run.dense, run.windows, options));
    run_.dense.release_ends();
    judged_ = std::max<std::int64_t>(1, run.windows.windows / kJudged);
    for (std::int64_t layer = 0; layer < run.student.spec().layers; ++layer) {
      blocks_.emplace_back(run.student, layer, run.placement, linears);
    }
  }

  [[nodiscard]] TunedModel tune();

 private:
  [[nodiscard]] std::vector<Batch> batches(std::int64_t first, std::int64_t end) const;
  [[nodiscard]] torch::Tensor embed(const Batch& batch);
  [[nodiscard]] double divergence();
  void shorten();
  [[nodiscard]] torch::Tensor head_gradient(const torch::Tensor& states, const Batch& batch);
  void step(const Batch& batch, const AdamStep& adam);
  template <typename Visit>
  void each_piece(const torch::Tensor& states, const Batch& batch, const Visit& visit);

  const ModelTuning& run_;
  std::vector<CompressedLinear>& linears_;
  eval::FinalStates dense_;
  std::int64_t judged_ = 1;
  std::vector<StudentBlock> blocks_;
};

torch::Tensor Tuner::embed(const Batch& batch) {
  return run_.student.embed(eval::window_ids(run_.windows, batch.first, batch.count),
                            run_.placement);
}

/// Calls visit(log p, log q), both (rows, vocab) float32, for the scored positions of a batch, some
/// rows at a time.
/// \param states  the student's final hidden states (B, T - 1, head input).
template <typename Visit>
void Tuner::each_piece(const torch::Tensor& states, const Batch& batch, const Visit& visit) {
  const torch::Tensor rows = states.flatten(0, 1);
  const torch::Tensor dense = dense_.states.narrow(0, batch.first, batch.count)
                                  .flatten(0, 1)
                                  .to(run_.placement.device, run_.placement.dtype);
  const std::int64_t length =
      std::max<std::int64_t>(1, model::kLogitsAtOnce / run_.student.spec().vocab);
  for (std::int64_t begin = 0; begin < rows.size(0); begin += length) {
    check_interrupt();
    const std::int64_t count = std::min(length, rows.size(0) - begin);
    const auto log_softmax = [&](const torch::Tensor& logits) {
      return at::log_softmax(logits.to(torch::kFloat32), 1);
    };
    visit(log_softmax(model::Model::logits(dense.narrow(0, begin, count), dense_.head)),
          log_softmax(run_.student.logits(rows.narrow(0, begin, count), run_.placement)));
  }
}

/// Windows first .. end - 1, `batch_windows` at a time.
std::vector<Batch> Tuner::batches(std::int64_t first, std::int64_t end) const {
  std::vector<Batch> result;
  for (; first < end; first += run_.batch_windows) {
    result.push_back({first, std::min(run_.batch_windows, end - first)});
  }
  return result;
}

/// Mean KL over the windows that judge, in nats a token.
double Tuner::divergence() {
  const std::int64_t windows = run_.windows.windows;
  const std::vector<Batch> judged = batches(windows - judged_, windows);
  std::vector<torch::Tensor> hidden;
  hidden.reserve(judged.size());
  for (const Batch& batch : judged) hidden.push_back(embed(batch));
  for (const StudentBlock& tuned : blocks_) {
    const std::unique_ptr<model::Block> block = tuned.load();
    for (torch::Tensor& state : hidden) {
      check_interrupt();
      state = block->forward(state);
    }
  }
  const std::int64_t scored = run_.windows.seqlen - 1;
  double sum = 0.0;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    const torch::Tensor states =
        run_.student.final_hidden(hidden[i].narrow(1, 0, scored), run_.placement);
    each_piece(states, judged[i], [&](const torch::Tensor& log_p, const torch::Tensor& log_q) {
      sum += eval::kl_divergence(log_p, log_q).sum().item<double>();
    });
  }
  return sum / static_cast<double>(judged_ * scored);
}

/// Takes back half of all ways as long as that brings the windows that judge nearer: where little
/// was lost, whole steps lead past the optimum.
void Tuner::shorten() {
  double best = divergence();
  for (int i = 0; i < kMostHalvings; ++i) {
    for (StudentBlock& block : blocks_) block.scale(0.5);
    const double halved = divergence();
    if (!(halved < best)) {
      for (StudentBlock& block : blocks_) block.scale(2.0);
      return;
    }
    best = halved;
  }
}

/// Of the sum of KL over the batch's tokens, with respect to the final hidden states: (q - p) head.
/// Adam does not see the factor that a mean would have.
torch::Tensor Tuner::head_gradient(const torch::Tensor& states, const Batch& batch) {
  const torch::Tensor head = run_.student.head(run_.placement);
  std::vector<torch::Tensor> parts;
  each_piece(states, batch, [&](const torch::Tensor& log_p, const torch::Tensor& log_q) {
    parts.push_back(log_q.exp().sub_(log_p.exp()).to(head.scalar_type()).matmul(head));
  });
  return at::cat(parts).view(states.sizes());
}

/// One forward that keeps the blocks' inputs, and the blocks' gradients from the last to the first.
void Tuner::step(const Batch& batch, const AdamStep& adam) {
  std::vector<torch::Tensor> inputs{embed(batch)};
  for (StudentBlock& block : blocks_) {
    check_interrupt();
    inputs.push_back(block.load()->forward(inputs.back()));
  }
  torch::Tensor gradient;
  {
    const at::AutoGradMode with_gradients(true);
    const torch::Tensor output = inputs.back().requires_grad_(true);
    const torch::Tensor states =
        run_.student.final_hidden(output.narrow(1, 0, run_.windows.seqlen - 1), run_.placement);
    const at::NoGradGuard no_grad;
    const torch::Tensor at_states = head_gradient(states.detach(), batch);
    gradient = torch::autograd::grad({states}, {output}, {at_states}).front();
  }
  inputs.pop_back();
  for (std::size_t layer = blocks_.size(); layer-- > 0; inputs.pop_back()) {
    check_interrupt();
    gradient = blocks_[layer].step(inputs.back(), gradient, adam);
  }
}

TunedModel Tuner::tune() {
  TunedModel result;
  result.kl_before = divergence();
  if (!std::isfinite(result.kl_before)) {
    fail(ErrorKind::kNumeric,
         "tune: the divergence on the calibration text is {}; expected a finite number; a model "
         "stored in float16 may need --dtype float32",
         result.kl_before);
  }
  const std::vector<Batch> seen = batches(0, run_.windows.windows - judged_);
  const std::int64_t steps = std::ssize(seen);
  if (run_.progress) run_.progress(0, steps);
  for (std::int64_t i = 0; i < steps; ++i) {
    step(seen[static_cast<std::size_t>(i)], adam_step(i, steps));
    if (run_.progress) run_.progress(i + 1, steps);
  }
  shorten();
  std::vector<CompressedLinear> settled = linears_;
  for (StudentBlock& block : blocks_) block.settle(run_.types, settled, result.tensors);
  result.kl_after = divergence();
  result.kept = result.kl_after < result.kl_before;
  if (result.kept) {
    linears_ = std::move(settled);
  } else {
    result.tensors.clear();
  }
  return result;
}

}  // namespace

TunedModel tune_model(const ModelTuning& run, std::vector<CompressedLinear>& linears) {
  ensure(run.windows.windows >= 2 && run.batch_windows >= 1,
         "tuning: a model is tuned with fewer than two windows");
  const at::NoGradGuard no_grad;
  return Tuner(run, linears).tune();
}

}  // namespace sgpt_mi::tuning
