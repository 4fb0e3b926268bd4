#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sgpt_mi/calib/drift_stats.h"
#include "sgpt_mi/calib/layer_stats.h"
#include "sgpt_mi/model/model.h"
#include "sgpt_mi/ranks/lane_sum.h"
#include "sgpt_mi/ranks/lanes.h"
#include "sgpt_mi/walk/block_walk.h"

namespace sgpt_mi::walk {

/// A tensor (B, T, C) of one batch in the dense model's stream and in the compressed one's.
struct StreamPair {
  torch::Tensor dense;
  torch::Tensor compressed;
};

/// Sums and sampled tokens of one site's input, and its drift when followed, lane by lane.
class SiteCollector {
 public:
  /// \param first   the first linear that reads the site.
  /// \param stride  every stride-th token is kept; 0: none.
  /// \param lanes   of all ranks; it and `walk` outlive this.
  SiteCollector(const BlockWalk& walk, const ranks::Lanes& lanes, model::LinearInfo first,
                std::int64_t stride);

  void add(const torch::Tensor& input);

  void follow_drift();
  [[nodiscard]] bool follows_drift() const { return drift_.has_value(); }

  /// The inputs of one batch in both models, and the residual streams when they are followed. Every
  /// second sequence goes into the other half.
  /// \param window  the batch's first.
  void add_drift(const StreamPair& inputs, const std::optional<StreamPair>& residuals,
                 std::int64_t window);

  /// All batches of a lane have been added.
  void end_lane();

  [[nodiscard]] SiteInput finish(std::int64_t layer);

 private:
  const BlockWalk& walk_;
  model::LinearInfo first_;
  calib::StatsAccumulator sums_;
  std::optional<std::array<calib::DriftAccumulator, 2>> drift_;
  ranks::LaneSum total_;
  std::int64_t stride_;
  std::vector<torch::Tensor> samples_;
};

}  // namespace sgpt_mi::walk
