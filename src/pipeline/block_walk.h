#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/text/windows.h"

namespace sgpt_mi::pipeline {

/// What calibration found at one site of one block.
struct SiteInput {
  std::int64_t layer = 0;
  model::Site site = model::Site::kAttentionIn;
  calib::LayerStats stats;
  torch::Tensor samples;  ///< (T, N) float32: some of the tokens; undefined unless asked for
};

/// May replace weights of the block: what it leaves there makes the inputs of what follows.
using SiteHandler = std::function<void(model::Block& block, SiteInput& input)>;

/// A pass of the calibration windows through the model.
struct BlockWalk {
  model::Model& model;
  model::Placement placement;
  const text::TokenWindows& windows;
  const LayerSelection& selection;
  bool true_sequential = false;
  std::int64_t batch_windows = 4;
  std::int64_t sample_tokens = 0;          ///< tokens kept of every site's input; 0: none
  std::map<std::string, double>& timings;  ///< adds to "load", "calibrate", "propagate"
};

/// Calls the handler for every site that a selected linear reads, in forward order.
///
/// The windows are embedded once; each block sees them as the handled blocks before it left them.
/// All sites of a block are calibrated in one forward with its weights as they were and then
/// handled, or, true-sequential, site by site, each with the sites before it handled and every
/// activation computed once. Without gradients.
void walk_blocks(const BlockWalk& walk, const SiteHandler& handle);

}  // namespace sgpt_mi::pipeline
