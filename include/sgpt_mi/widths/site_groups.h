#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sgpt_mi/walk/block_walk.h"
#include "sgpt_mi/widths/width_options.h"

namespace sgpt_mi::widths {

/// The N input channels of one site in groups; shared by all linears that read it.
struct SiteGroups {
  std::vector<std::int32_t> labels;  ///< N labels, 0 .. groups - 1; empty: every channel alone
  std::int64_t groups = 0;
  std::vector<double> mean_affinity;  ///< of the pairs inside each group; 0 for single channels
  std::optional<double> silhouette;
  torch::Tensor affinity;  ///< (N, N) float32, when asked for
};

/// Groups a site's channels: src/widths/README.md.
///
/// Every grouping is measured on the normalised mutual information, so that the controls can be
/// compared. Random groups and k-means starts follow from the seed, the layer and the site.
///
/// \param keep_affinity  whether the result holds the affinity (for pictures).
/// \param timings        adds to "mi" and "cluster".
///
/// Cost: that of the estimator (mi) and of the clustering (cluster); nothing with
/// Grouping::kChannels. Memory: one (N, N) float32.
[[nodiscard]] SiteGroups group_site(const walk::SiteInput& input, const GroupingOptions& options,
                                    bool keep_affinity, std::map<std::string, double>& timings);

/// Labels of the N channels of a site, `per_group` of them to a group: sorted by diag H, largest
/// first, where the last groups may be one smaller, or (`any_order` false) neighbours.
[[nodiscard]] std::vector<std::int32_t> grid_labels(const walk::SiteInput& input,
                                                    std::int64_t channels, std::int64_t per_group,
                                                    bool any_order);

/// The labels of runs of `per_group` neighbours.
[[nodiscard]] std::vector<std::int32_t> neighbour_labels(std::int64_t channels,
                                                         std::int64_t per_group);

}  // namespace sgpt_mi::widths
