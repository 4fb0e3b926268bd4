#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "sgpt_mi/ranks/lanes.h"
#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::ranks {

/// Tensors of one lane, or of several together: some add up, of others the largest counts. An
/// undefined one counts as 0.
struct LaneFigures {
  std::vector<torch::Tensor> sums;
  std::vector<torch::Tensor> maxima;
};

/// Sums figures over the lanes of all ranks in one order, whichever rank had which lanes: each group
/// of kGroup lanes from its first to its last, then the groups from the first to the last.
///
/// Memory: figures of one lane, a group and the sum of those before, and one more where a lane
/// waits for other ranks; what waits lies on the CPU. Bytes on the way: those of the figures, once
/// for each lane or group that another rank adds up, and for all ranks but one to tell the result.
class LaneSum {
 public:
  static constexpr std::int64_t kGroup = 4;

  /// \param world, lanes  outlive this. \param device  where figures are made and wanted.
  LaneSum(const World& world, const Lanes& lanes, torch::Device device)
      : world_(world), lanes_(lanes), device_(device) {}

  /// The figures of one of this rank's lanes, which are given in order; they may be changed here.
  void add(std::int64_t lane, LaneFigures figures);

  /// Of all ranks, each having added its lanes: the figures of all lanes, on every rank.
  [[nodiscard]] LaneFigures finish();

 private:
  /// A sum of neighbours: numbers first .. end - 1 of lanes or of groups.
  struct Sum {
    std::int64_t end = 0;
    LaneFigures figures;
  };
  using Sums = std::map<std::int64_t, Sum>;  // by their first

  [[nodiscard]] std::int64_t group_end(std::int64_t group) const {
    return std::min((group + 1) * kGroup, lanes_.count());
  }
  void add_to(Sums& sums, std::int64_t start, std::int64_t number, LaneFigures figures) const;
  void add_group(std::int64_t group);
  void collect(Sums& sums, std::int64_t first, std::int64_t end,
               const std::function<int(std::int64_t)>& rank_of) const;
  void join(LaneFigures& left, LaneFigures right) const;

  const World& world_;
  const Lanes& lanes_;
  torch::Device device_;
  Sums of_lanes_;
  Sums of_groups_;
};

}  // namespace sgpt_mi::ranks
