#pragma once

#include <cstdint>

#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/compress/settings.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/obs/compress.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/widths/site_groups.h"
#include "sgpt_mi/widths/width_planner.h"

namespace sgpt_mi::compress {

/// What a report says of a compressed linear that has one width, but for what it takes as saved.
/// \param saved  type of the dense matrix.
[[nodiscard]] report::LayerReport describe_layer(const model::LinearInfo& linear,
                                                 const obs::CompressResult& result,
                                                 const CompressionSettings& settings, DType saved);

/// Adds what calibration saw of the linear's input.
void describe_calibration(report::LayerReport& layer, const calib::LayerStats& stats,
                          std::int64_t constant_channels);

/// Adds the groups and widths of a planned linear. Single channels are told by width.
void describe_widths(report::LayerReport& layer, const widths::LinearPlan& plan,
                     const widths::SiteGroups& groups);

/// The widths of a measured plan.
void describe_choice(report::LayerReport& layer, const obs::CompressOptions& options);

}  // namespace sgpt_mi::compress
