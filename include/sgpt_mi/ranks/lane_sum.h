#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <utility>
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

/// Sums figures over the lanes of all ranks in a binary tree over lanes: ((0 + 1) + (2 + 3)) + ...,
/// so that the sum does not depend on which rank had which lanes.
///
/// Memory: at most log2(lanes) + 1 of the figures exist at a time; those that wait for others lie
/// on the CPU. Bytes on the way: those of the figures times the ranks that have lanes less one to
/// sum, and times all ranks less one to tell the result.
class LaneSum {
 public:
  /// \param world, lanes  outlive this. \param device  where figures are made and wanted.
  LaneSum(const World& world, const Lanes& lanes, torch::Device device)
      : world_(world), lanes_(lanes), device_(device) {}

  /// The figures of one of this rank's lanes, which are given in order; they may be changed here.
  void add(std::int64_t lane, LaneFigures figures);

  /// Of all ranks, each having added its lanes: the figures of all lanes, on every rank.
  [[nodiscard]] LaneFigures finish();

 private:
  using Node = std::pair<std::int64_t, std::int64_t>;  // its first lane, and how many it is over

  void join(LaneFigures& left, LaneFigures right) const;
  [[nodiscard]] int owner_of(const Node& node) const { return lanes_.rank_of_lane(node.first); }
  void reduce(const Node& node);
  [[nodiscard]] LaneFigures take(const Node& node);

  const World& world_;
  const Lanes& lanes_;
  torch::Device device_;
  std::map<Node, LaneFigures> waiting_;
};

}  // namespace sgpt_mi::ranks
