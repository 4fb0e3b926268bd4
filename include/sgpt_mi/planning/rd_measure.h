#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "sgpt_mi/memory/activation_space.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/planning/measurements.h"
#include "sgpt_mi/planning/output_fisher.h"
#include "sgpt_mi/planning/plan_options.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/text/windows.h"
#include "sgpt_mi/walk/layer_selection.h"

namespace sgpt_mi::planning {

/// What is measured, and with what.
struct MeasureRun {
  model::Model& model;
  model::Placement placement;
  const text::TokenWindows& windows;  ///< all that calibrate
  const walk::LayerSelection& selection;
  const PlanGoal& goal;
  std::int64_t batch_windows = 1;
  memory::ActivationBudget activations;
  std::map<std::string, double>& timings;  ///< adds to the stages
  /// What a measurement depends on: Measurements::key. Read with goal.plan.measurements.
  const nlohmann::json& key;
  /// Filled where a backward pass is made; nullptr: not wanted.
  EndMoments* ends = nullptr;
  ranks::World world = {};  ///< who share windows and linears; rank 0 has the file
};

/// Measures what planning needs in one pass of the first goal.plan.windows calibration windows
/// through the dense model: damage curves over sparsities and widths from one factorisation an
/// input, weighted by the sensitivity of each output row.
///
/// With goal.plan.measurements the curves cover sparsities and widths far from the target too,
/// so that other targets can be planned from the same file.
///
/// Cost: a forward pass of those windows, with Fisher sensitivity also a backward one, and about
/// 10 rows * N^2 multiply-adds a linear.
[[nodiscard]] Measurements measure_model(const MeasureRun& run);

/// measure_model(), or what an earlier run with the same key left in goal.plan.measurements;
/// a new measurement is written there. Throws Error(kUsage) naming the first entry of the key that
/// differs.
[[nodiscard]] Measurements load_or_measure(const MeasureRun& run);

/// Reads a file of measurements and checks that it fits the model and the settings: the linears,
/// and the entries of `key` that both have. Throws Error(kUsage) naming the difference.
void require_match(const Measurements& measurements, const nlohmann::json& key,
                   const std::string& path);

/// The factor that makes sum_r f_r [E H E^T]_rr a damage in the unit of Measurements: nats a token
/// with Fisher, for which H is taken per token and halved (second order); shares of the output's
/// energy; or squared errors a token.
/// \param tokens, sequences  that H was measured on; \param energy  trace(W H W^T).
[[nodiscard]] double damage_unit(Sensitivity sensitivity, std::int64_t tokens,
                                 std::int64_t sequences, double energy);

}  // namespace sgpt_mi::planning
