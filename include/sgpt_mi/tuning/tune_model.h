#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/text/windows.h"

namespace sgpt_mi::tuning {

/// A compressed linear of a model.
struct CompressedLinear {
  model::LinearInfo linear;
  obs::CompressedMatrix matrix;
};

/// What a compressed model is tuned with.
struct ModelTuning {
  model::Model& dense;
  /// The model as it is saved but for the compressed linears: embedding and head rounded, norms
  /// with what was folded into them.
  model::Model& student;
  model::Placement placement;
  const text::TokenWindows& windows;  ///< calibration text, at least two windows
  const formats::SavedTypes& types;   ///< in which norms and biases are saved
  std::int64_t batch_windows = 2;     ///< windows a step of Adam
  /// Called before the first step and after each with the number done and their total; may be
  /// empty.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

/// What tuning did.
struct TunedModel {
  double kl_before = 0.0;  ///< nats a token, on the windows that were kept out of the steps
  double kl_after = 0.0;   ///< there, with all scales as they are stored
  bool kept = false;       ///< kl_after < kl_before; if not, nothing was changed
  /// Norm parameters and biases in their saved types, by checkpoint name; empty if not kept.
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
};

/// Lowers a compressed model's divergence from the dense one, with every code as it is: Adam on the
/// scales of all compressed linears (of blocks: on the blocks' own factors), on their biases, and
/// on the norms that only linears read, for
///
///     loss = mean over tokens of KL(dense || compressed)
///
/// of the next token's distributions. Each window but the last eighth, which judge the result, is
/// seen once, `batch_windows` of them a step. A block's forward is computed a second time for its
/// gradient, so that one block's graph is in memory at a time.
///
/// \param linears  of all blocks, in their order; replaced where the result is kept.
/// Cost: about five forwards of the windows. Memory: the codes and values of all linears twice,
/// three float32 values a factor, the inputs of all blocks for one batch, the dense model's final
/// states and head.
/// \throws Error(kNumeric) a compressed model whose divergence is not finite; Error(kInternal)
/// fewer than two windows.
[[nodiscard]] TunedModel tune_model(const ModelTuning& run, std::vector<CompressedLinear>& linears);

}  // namespace sgpt_mi::tuning
