#include "sgpt_mi/eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"

namespace sgpt_mi::eval {

namespace {

/// Logits that are in memory at once, float32 elements: 16 MB, and as much for their log-softmax.
/// Larger pieces make the products no faster and leave the cache.
constexpr std::int64_t kLogitsAtOnce = 4'000'000;

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

/// Windows [first, first + count) as int64 ids (count, seqlen) on the CPU.
torch::Tensor ids_of(const text::TokenWindows& windows, std::int64_t first, std::int64_t count) {
  const auto begin = windows.ids.begin() + first * windows.seqlen;
  const std::vector<std::int64_t> ids(begin, begin + count * windows.seqlen);
  return at::tensor(ids, torch::kInt64).view({count, windows.seqlen});
}

/// Some windows on their way through the model.
struct Batch {
  torch::Tensor ids;     ///< (B, T) int64, CPU
  torch::Tensor hidden;  ///< (B, T, hidden)
};

std::vector<Batch> embed_all(model::Model& model, const text::TokenWindows& windows,
                             const PerplexityOptions& options) {
  std::vector<Batch> batches;
  for (std::int64_t first = 0; first < windows.windows; first += options.batch_windows) {
    check_interrupt();
    const std::int64_t count = std::min(options.batch_windows, windows.windows - first);
    Batch batch{ids_of(windows, first, count), {}};
    batch.hidden = model.embed(batch.ids, options.placement);
    batches.push_back(std::move(batch));
  }
  return batches;
}

void run_blocks(model::Model& model, std::vector<Batch>& batches,
                const PerplexityOptions& options) {
  const std::int64_t layers = model.spec().layers;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const std::unique_ptr<model::Block> block = model.load_block(layer, options.placement);
    for (Batch& batch : batches) {
      check_interrupt();
      batch.hidden = block->forward(batch.hidden);
    }
    if (options.progress) options.progress(layer + 1, layers);
  }
}

/// Negative log-likelihoods (N) float64, CPU, of the targets (N) after hidden states (N, head
/// input): log sum exp(logits) - logits[target], in float32. The head is applied to pieces of equal
/// length, so that no more than kLogitsAtOnce logits exist at a time.
torch::Tensor token_nll(model::Model& model, const torch::Tensor& final_hidden,
                        const torch::Tensor& targets, const model::Placement& where) {
  const std::int64_t positions = targets.size(0);
  const std::int64_t pieces = positions * model.spec().vocab / kLogitsAtOnce + 1;
  const std::int64_t length = (positions + pieces - 1) / pieces;
  std::vector<torch::Tensor> parts;
  for (std::int64_t begin = 0; begin < positions; begin += length) {
    const std::int64_t count = std::min(length, positions - begin);
    const torch::Tensor logits =
        model.logits(final_hidden.narrow(0, begin, count), where).to(torch::kFloat32);
    parts.push_back(at::cross_entropy_loss(logits, targets.narrow(0, begin, count),
                                           /*weight=*/{}, at::Reduction::None));
  }
  return at::cat(parts).to(torch::kCPU, torch::kFloat64);
}

/// Mean loss of each window of a batch: logits at positions [:-1] against ids [1:].
std::vector<double> window_losses(model::Model& model, const Batch& batch,
                                  const model::Placement& where) {
  const std::int64_t targets = batch.ids.size(1) - 1;
  const torch::Tensor hidden =
      model.final_hidden(batch.hidden.narrow(1, 0, targets), where).flatten(0, 1);
  const torch::Tensor labels = batch.ids.narrow(1, 1, targets).flatten().to(where.device);
  const torch::Tensor means =
      token_nll(model, hidden, labels, where).view({batch.ids.size(0), targets}).mean(1);
  return {means.data_ptr<double>(), means.data_ptr<double>() + means.numel()};
}

std::vector<double> score_all(model::Model& model, std::vector<Batch>& batches,
                              const model::Placement& where) {
  std::vector<double> losses;
  for (Batch& batch : batches) {
    check_interrupt();
    for (const double loss : window_losses(model, batch, where)) {
      if (!std::isfinite(loss)) {
        fail(ErrorKind::kNumeric,
             "eval: the loss of window {} is {}; expected a finite number; a model stored in "
             "float16 may need --dtype float32",
             losses.size(), loss);
      }
      losses.push_back(loss);
    }
    batch.hidden.reset();
  }
  return losses;
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

}  // namespace

PerplexityResult perplexity(model::Model& model, const text::TokenWindows& windows,
                            const PerplexityOptions& options) {
  check_options(options);
  check_windows(windows, model.spec());
  const at::NoGradGuard no_grad;
  std::vector<Batch> batches = embed_all(model, windows, options);
  run_blocks(model, batches, options);

  PerplexityResult result;
  result.window_nll = score_all(model, batches, options.placement);
  result.windows = windows.windows;
  result.seqlen = windows.seqlen;
  result.nll_mean = mean_of(result.window_nll);
  result.nll_stderr = standard_error(result.window_nll, result.nll_mean);
  result.ppl = std::exp(result.nll_mean);
  result.ppl_stderr = result.ppl * result.nll_stderr;
  return result;
}

}  // namespace sgpt_mi::eval
