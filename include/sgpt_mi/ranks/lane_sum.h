#pragma once

#include <torch/types.h>

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

/// Sums figures over the lanes of all ranks from the first lane to the last, whichever rank had
/// which: a rank adds its lanes to the sum of those before, and passes it on.
///
/// The order is nearly that of one sum over everything. Pairs or groups would let ranks add at the
/// same time, but published results depend on it: with groups of four, SparseGPT at 70 % of a small
/// OPT took other masks among near-equals and left the recorded perplexities by 0.4 %.
///
/// Memory: on rank 0 figures of one lane and of the sum, on others of all their lanes; what waits
/// lies on the CPU. Bytes on the way: those of the figures, for all ranks but one that have lanes,
/// and for all ranks but one to be told the result.
class LaneSum {
 public:
  /// \param world, lanes  outlive this. \param device  where figures are made and wanted.
  LaneSum(const World& world, const Lanes& lanes, torch::Device device)
      : world_(world), lanes_(lanes), device_(device) {}

  /// The figures of this rank's next lane; they may be changed here.
  void add(LaneFigures figures);

  /// Of all ranks, each having added its lanes: the figures of all lanes, on every rank.
  [[nodiscard]] LaneFigures finish();

 private:
  void join(LaneFigures& left, LaneFigures right) const;
  [[nodiscard]] LaneFigures sum_up();

  const World& world_;
  const Lanes& lanes_;
  torch::Device device_;
  std::vector<LaneFigures> waiting_;  // of rank 0: the sum so far
};

}  // namespace sgpt_mi::ranks
