#pragma once

#include <cstdint>
#include <optional>

#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/compress/settings.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/planning/linear_choice.h"
#include "sgpt_mi/planning/plan_options.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/widths/site_groups.h"
#include "sgpt_mi/widths/width_planner.h"

namespace sgpt_mi::compress {

/// What a report says of a compressed linear that has one width, but for what it takes as saved.
/// \param saved  type of the dense matrix.
[[nodiscard]] report::LayerReport describe_layer(const model::LinearInfo& linear,
                                                 const obs::CompressResult& result,
                                                 const CompressionSettings& settings, DType saved);

/// What the linears of a site share, as figures.
struct InputFigures {
  std::int64_t constant_channels = 0;
  std::int64_t massive_channels = 0;
  double abs_max = 0.0;
  std::optional<double> stream_gap;  ///< with two streams
  std::optional<double> condition;   ///< of a factorised H
};

[[nodiscard]] InputFigures input_figures(const walk::SiteInput& input,
                                         const obs::PreparedInput& prepared);

/// Adds what calibration saw of the linear's input.
void describe_calibration(report::LayerReport& layer, const calib::LayerStats& stats,
                          const InputFigures& figures);

/// Adds what the plan predicted, and what became of it, where it knew.
void describe_damage(report::LayerReport& layer, const planning::LinearChoice& choice,
                     planning::Sensitivity sensitivity, const calib::LayerStats& stats,
                     const obs::CompressResult& result);

/// Adds the groups and widths of a planned linear. Single channels are told by width.
void describe_widths(report::LayerReport& layer, const widths::LinearPlan& plan,
                     const widths::SiteGroups& groups);

/// The widths of a measured plan.
void describe_choice(report::LayerReport& layer, const obs::CompressOptions& options);

}  // namespace sgpt_mi::compress
