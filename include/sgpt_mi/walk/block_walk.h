#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "sgpt_mi/calib/drift_stats.h"
#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/memory/activation_store.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/text/windows.h"
#include "sgpt_mi/walk/layer_selection.h"

namespace sgpt_mi::walk {

/// What calibration found at one site of one block.
struct SiteInput {
  std::int64_t layer = 0;
  model::Site site = model::Site::kAttentionIn;
  calib::LayerStats stats;  ///< empty where BlockWalk::knows
  torch::Tensor samples;    ///< (T, N) float32: some of the tokens; undefined unless asked for
  /// How far the input is from what it is in the dense model, in the even sequences and in the odd
  /// ones: two estimates of one thing. Nothing without a dense stream, and before the first handled
  /// site, where the streams are the same. residual_sum is there when BlockWalk::residual_drift
  /// asks for it and the site's linear adds to the residual stream.
  std::optional<std::array<calib::DriftStats, 2>> drift = std::nullopt;
};

/// May replace weights of the block: what it leaves there makes the inputs of what follows. It may
/// free what it no longer needs of an input.
using SiteHandler = std::function<void(model::Block& block, std::span<SiteInput> inputs)>;

/// A pass of the calibration windows through the model.
struct BlockWalk {
  model::Model& model;
  model::Placement placement;
  const text::TokenWindows& windows;
  const LayerSelection& selection;
  bool true_sequential = false;
  std::int64_t batch_windows = 4;
  std::int64_t sample_tokens = 0;  ///< tokens kept of every site's input; 0: none
  /// Adds to "load", "calibrate" and "propagate"; with a dense stream also to "dense_stream" (its
  /// forward) and "drift" (its statistics).
  std::map<std::string, double>& timings;
  bool dense_stream = false;    ///< SiteInput::drift is wanted; true-sequential only
  bool residual_drift = false;  ///< and the residual stream's part of it
  /// Where the states of the windows may lie; results do not depend on it.
  memory::ActivationBudget activations = {};
  /// The handler leaves the norms of the block as they are: a site's input that lies on the device
  /// is then kept until its linears are applied, instead of being normed again.
  bool keeps_norms = false;
  /// The handler leaves the weights of the block as they are: several ranks then get all sites of a
  /// block at once also where the walk goes site by site.
  bool keeps_weights = false;
  /// Whose embedding the compressed stream starts from; nullptr: the model's own.
  model::Model* embedding = nullptr;
  /// Of which sites the handler needs no statistics; empty: of none.
  std::function<bool(std::int64_t layer, model::Site site)> knows = {};
  /// The ranks that share the windows: each has whole batches of neighbours (ranks::Lanes), and all
  /// have the same SiteInput, whose bits do not depend on how many they are.
  ranks::World world = {};
};

/// Calls the handler for every site that a selected linear reads, in forward order, one at a time;
/// several ranks get all sites of a block at once where they are calibrated together. Every rank
/// has to leave the same weights in the block.
///
/// The windows are embedded once; each block sees them as the handled blocks before it left them.
/// All sites of a block are calibrated in one forward with its weights as they were and then
/// handled, or, true-sequential, site by site, each with the sites before it handled and every
/// activation computed once. Without gradients.
///
/// With a dense stream the windows also pass through the blocks as they are loaded, beside the
/// compressed stream: each block is loaded once, and at every site the dense stream goes first,
/// before the handler replaces the weights. Until the first handled site both are one, unless the
/// compressed stream has an embedding of its own.
///
/// While a block is worked on, the next one is read ahead (Model::read_ahead).
///
/// Memory: one block, two of them on a GPU, and the hidden states of all windows; true-sequential
/// also what is pending between two sites of them, up to the MLP's width a token. A dense stream
/// has the same again. These states take the device's memory up to the budget; the others are
/// fetched batch by batch, one ahead. The statistics of all sites of a block, true-sequential of
/// one site, are (N, N) float32 each, three with a dense stream; the site's input exists for one
/// batch at a time.
///
/// \throws Error(kInternal) a dense stream that is not true-sequential; residual_drift without one.
void walk_blocks(const BlockWalk& walk, const SiteHandler& handle);

}  // namespace sgpt_mi::walk
