#pragma once

#include <map>
#include <string>
#include <vector>

#include "sgpt_mi/model/model.h"
#include "sgpt_mi/pipeline/events.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/text/windows.h"
#include "weight_store.h"

namespace sgpt_mi::pipeline {

/// Everything that a compression of blocks reads and writes.
struct BlockRun {
  model::Model& model;
  model::Placement placement;
  const text::TokenWindows& windows;
  const CompressionSettings& settings;
  const SavedTypes& saved_types;
  WeightStore& store;
  Events& events;
  std::map<std::string, double>& timings;  ///< adds to "calibrate", "obs", "propagate", "load"
};

/// Compresses the selected linears of all blocks, in order, and hands them to the store.
///
/// The calibration windows are embedded once; each block sees them as the compressed blocks before
/// it left them. All linears of a block are calibrated in one forward with its dense weights and
/// then replaced, or, true-sequential, site by site, each with the sites before it compressed and
/// every activation computed once.
///
/// \return one report a linear, in processing order.
[[nodiscard]] std::vector<report::LayerReport> compress_blocks(const BlockRun& run);

}  // namespace sgpt_mi::pipeline
