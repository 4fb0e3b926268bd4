#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/containers/tensor_source.h"
#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::ranks {

/// Rank 0's tensors on every rank: rank 0 reads, and tells the others what it read. All ranks read
/// the same tensors in the same order. Of one rank: the tensors themselves.
class BroadcastSource : public containers::TensorSource {
 public:
  /// Of all ranks. \param source  outlives this; its tensors count on rank 0 alone.
  BroadcastSource(const World& world, const containers::TensorSource& source);

  [[nodiscard]] const std::vector<containers::TensorInfo>& tensors() const override {
    return world_.alone() ? source_.tensors() : tensors_;
  }
  /// Throws Error(kInternal) when the ranks read different tensors.
  [[nodiscard]] containers::TensorData read(const std::string& name) const override;
  [[nodiscard]] bool concurrent() const override { return world_.alone(); }
  void will_need(const std::string& name) const override;
  void done_with(const std::string& name) const override;
  [[nodiscard]] const containers::TensorInfo* find(const std::string& name) const override;

 private:
  World world_;
  const containers::TensorSource& source_;
  std::vector<containers::TensorInfo> tensors_;
};

}  // namespace sgpt_mi::ranks
