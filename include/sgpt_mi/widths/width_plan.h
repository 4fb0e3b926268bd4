#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgpt_mi/alloc/bit_plan.h"
#include "sgpt_mi/quant/grid.h"
#include "sgpt_mi/widths/importance.h"
#include "sgpt_mi/widths/site_groups.h"
#include "sgpt_mi/widths/width_options.h"

namespace sgpt_mi::widths {

/// The columns of one linear as units that get a width each.
struct LinearUnits {
  std::int64_t rows = 0;  ///< of the weight
  std::vector<alloc::Unit> units;
  std::vector<std::int32_t> unit_of_channel;  ///< N
  std::vector<double> channel_score;          ///< N: importance or contribution
  bool single_channels = false;               ///< every unit is one channel
};

/// Units of a linear: the site's groups, or its channels one by one. A group's importance is its
/// channels' mean score times one minus its mean affinity: redundant groups need fewer bits.
///
/// \param weight  (rows, N), any floating dtype.
/// Cost: two passes over the weights.
[[nodiscard]] LinearUnits score_units(const torch::Tensor& weight, const SiteGroups& groups,
                                      const ChannelMoments& moments, const WidthOptions& options);

/// A width for every unit; `target` is the hard cap of all allocations but kThreshold, which only
/// compares its average with options.target.average_bits. Throws as the alloc room's functions.
[[nodiscard]] alloc::BitPlan plan_widths(const std::vector<alloc::Unit>& units,
                                         const WidthOptions& options,
                                         const alloc::BitTarget& target);

/// The columns that share grids. Single channels of equal width share one, groups keep theirs.
[[nodiscard]] quant::ColumnGroups column_groups(const LinearUnits& units,
                                                const std::vector<int>& bits,
                                                quant::GridSharing sharing);

}  // namespace sgpt_mi::widths
