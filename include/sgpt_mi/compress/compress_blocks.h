#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/compress/settings.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/journal/run_journal.h"
#include "sgpt_mi/memory/activation_space.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/packing/packed_size.h"
#include "sgpt_mi/planning/rd_plan.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/text/windows.h"

namespace sgpt_mi::compress {

/// Everything that a compression of blocks reads and writes.
struct BlockRun {
  model::Model& model;
  model::Placement placement;
  const text::TokenWindows& windows;
  const CompressionSettings& settings;  ///< with batch_windows chosen: at least 1
  bool holds_codes = false;             ///< formats::Format::holds_codes of how the model is saved
  /// Bits a weight that a stored-size target leaves for the selected linears.
  std::optional<double> stored_bits;
  bool keep_pictures = false;  ///< whether the affinities of block 0 are kept
  const formats::SavedTypes& saved_types;
  formats::WeightStore& store;
  report::Events& events;
  std::map<std::string, double>& timings;  ///< adds to the stages
  /// What a measurement depends on: planning::Measurements::key. Read with
  /// settings.plan->measurements.
  nlohmann::json measurement_key = nlohmann::json::object();
  memory::ActivationBudget activations = {};  ///< of every pass of calibration windows
  /// Keeps what is finished and knows what was; nullptr: neither. Of rank 0.
  journal::RunJournal* journal = nullptr;
  /// Who share windows and linears. Rank 0 has the result and hands all to its store; the others
  /// hand nothing to theirs.
  ranks::World world = {};
  /// Called before the first site of each block is compressed, with the share of the blocks that
  /// is still to come; what it throws ends the run. Empty: nothing is called.
  std::function<void(double left)> before_block = {};
};

/// The groups of one site for a picture.
struct GroupPicture {
  std::string name;                  ///< of the site's first linear
  torch::Tensor affinity;            ///< (N, N) float32 on the CPU
  std::vector<std::int32_t> labels;  ///< N
  std::vector<int> bits;             ///< of each group, in the first linear
};

/// What a compression of blocks did.
struct BlockResult {
  std::vector<report::LayerReport> layers;  ///< one a linear, in processing order
  packing::PackedSize packed;               ///< of all of them; 0 when not packed
  std::vector<GroupPicture> pictures;
  /// Of a format that holds blocks: the types of linears, embedding and head by name.
  std::map<std::string, const blocks::BlockType*> block_types;
  std::vector<report::EndReport> ends;         ///< embedding and head as levels
  std::optional<report::TuningReport> tuning;  ///< where the model was tuned
};

/// Compresses the selected linears of all blocks, in order, and hands them to the store.
///
/// Blocks and sites are visited as walk::walk_blocks() does; with one budget for the whole model or
/// a measured plan, a pass over the dense model goes before.
[[nodiscard]] BlockResult compress_blocks(const BlockRun& run);

/// compress_blocks() by a plan that is already made.
[[nodiscard]] BlockResult compress_planned_blocks(const BlockRun& run,
                                                  const planning::RdPlan& plan);

}  // namespace sgpt_mi::compress
