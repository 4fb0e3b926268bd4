#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "sgpt_mi/model/model.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/text/windows.h"
#include "sgpt_mi/walk/layer_selection.h"

namespace sgpt_mi::planning {

/// What a backward pass sees at both ends of a model, of which errors in the embedding and in the
/// head are weighed: means over tokens, on the CPU.
struct EndMoments {
  torch::Tensor hidden;       ///< E h h^T of what the head reads, (head input)^2 float64
  torch::Tensor logit;        ///< E p (1 - p) of each next token's probability p, (vocab) float64
  torch::Tensor probability;  ///< E p, (vocab) float64
  /// E g g^T of the loss's gradient at the first block's input, (hidden)^2 float64; undefined where
  /// the pass ends at a later block.
  torch::Tensor gradient;
};

/// A backward pass of calibration windows through a model.
struct FisherRun {
  model::Model& model;
  model::Placement placement;
  const text::TokenWindows& windows;
  std::int64_t windows_used = 8;  ///< the first ones, in 1..windows.windows
  const walk::LayerSelection& selection;
  std::int64_t batch_windows = 1;          ///< windows whose graph is in memory at once, >= 1
  std::map<std::string, double>& timings;  ///< adds to "fisher"
  EndMoments* ends = nullptr;              ///< filled; nullptr: not wanted
  ranks::World world = {};  ///< who share the windows; the sums' bits do not depend on how many
};

/// How much the loss depends on every output row of the selected linears, by linear name:
///
///     f_r = 1 / n * sum over tokens of (d loss / d y_r)^2,    y = W x + b    [nats^2 / y^2]
///
/// where loss is the cross entropy of the next token in nats, summed over a window, and n counts
/// all tokens of the windows used, also a window's last one, which nothing is scored on. It is the
/// diagonal of the outputs' empirical Fisher information: with H the mean of x x^T over the same
/// tokens, an error E of a linear's weight raises the loss of a token by about
/// 1/2 * sum_r f_r [E H E^T]_rr nats (second order; tokens and rows taken as independent).
///
/// \return  (rows) float64 on the CPU for each selected linear; empty when none is selected.
///
/// The model is read twice, block by block: forward, keeping every block's input in host memory
/// (layers x windows x seqlen x hidden in the type of the placement: 6.7 GB for 8 windows of 2048
/// tokens of a 13B model in float16), then backward, where each block is computed again with its
/// graph, down to the first block with a selected linear. At the head no more than 16 MB of logits,
/// in float32, and a few tensors of their size exist at a time.
///
/// Gradients have the placement's type, squares and sums of 256 tokens at least float32, all other
/// sums float64. Between blocks a gradient is
/// scaled by a power of two to a largest element in [16, 32), which float16 holds with room on both
/// sides wherever the loss's own gradient lies; the scale is undone in f and changes nothing in
/// float32. On a CPU equal calls give equal numbers; on a GPU LibTorch's attention adds gradients
/// in no fixed order.
///
/// Throws Error(kInput) when a window has fewer than 2 tokens, Error(kNumeric) naming the linear
/// and row whose f is not finite, Error(kInternal) for counts out of range.
[[nodiscard]] std::map<std::string, torch::Tensor> output_fisher(const FisherRun& run);

}  // namespace sgpt_mi::planning
