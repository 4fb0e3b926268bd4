#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/memory/activation_store.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"

namespace sgpt_mi::compress {

/// A compressed linear of a block.
struct CompressedLinear {
  model::LinearInfo linear;
  obs::CompressedMatrix matrix;
  torch::Tensor rounded;  ///< (rows, columns): matrix.weight in its saved type
};

/// What one block is tuned with.
struct BlockTuning {
  model::Block& block;            ///< its linears as compressed, rounded
  memory::HiddenBatches inputs;   ///< batches (b, T, hidden) that the block reads
  memory::HiddenBatches targets;  ///< the same batches after the dense block
  const formats::SavedTypes& types;
  std::int64_t steps = 0;  ///< of Adam, one batch each
};

/// What tuning did.
struct TunedBlock {
  double loss_before = 0.0;
  double loss_after = 0.0;  ///< with everything rounded as it is saved
  bool kept = false;        ///< loss_after < loss_before; if not, nothing was changed
  /// Norm parameters and biases in their saved types, by checkpoint name; empty if not kept.
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
};

/// Lowers a compressed block's error by gradient steps on all that it keeps:
///
///     loss = sum ||block(h) - dense block(hd)||^2 / sum ||dense block(hd)||^2
///
/// over all tokens, h the block's input in the compressed stream, hd in the dense one. Free are the
/// scales and codes of quantized linears, the kept weights of linears that are pruned only, the
/// biases of both, and the norms whose output only linears read; masks and zero points stay. A code
/// moves when its straight-through gradients have added up to half a step of its grid (Bengio et
/// al. 2013, arXiv 1308.3432). Steps of Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1) whose
/// rate falls linearly to 0 take the batches in turn. The result, rounded to what is saved,
/// replaces the block's tensors and those in `linears` only if it lowers the loss over all batches.
/// Deterministic on the CPU.
///
/// Cost: a step is one forward and one backward of a batch, and there are two forwards of all
/// batches. Memory: the graph of one batch, and about ten float32 values a weight.
/// \throws Error(kInternal) no batches, or not as many targets as inputs.
[[nodiscard]] TunedBlock tune_block(const BlockTuning& run, std::vector<CompressedLinear>& linears);

}  // namespace sgpt_mi::compress
