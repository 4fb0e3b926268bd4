#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <torch/types.h>

#include <optional>

namespace sgpt_mi::memory {

/// A copy that may still be on its way.
struct LaneCopy {
  torch::Tensor value;
  std::optional<c10::Event> done = std::nullopt;  ///< nothing: the copy is complete
};

/// Copies tensors between a device and host memory. For a GPU they travel on a stream of their own,
/// beside the computation, and the host's side is pinned memory; elsewhere a copy is a plain one
/// and complete when it is returned.
class CopyLane {
 public:
  explicit CopyLane(torch::Device device);

  /// Starts copying a tensor of the device, as the present stream leaves it, to host memory.
  [[nodiscard]] LaneCopy to_host(const torch::Tensor& tensor) const;

  /// Starts copying a tensor of host memory (host_tensor(), or what to_host() gave) to the device.
  [[nodiscard]] LaneCopy to_device(const torch::Tensor& tensor) const;

  /// Room in host memory from which to_device() copies.
  [[nodiscard]] torch::Tensor host_tensor(at::IntArrayRef sizes, torch::ScalarType type) const;

  /// The tensor of to_device(), which the present stream may use from here on.
  [[nodiscard]] torch::Tensor use(LaneCopy copy) const;

 private:
  torch::Device device_;
  std::optional<c10::Stream> stream_;  ///< nothing: not a GPU
};

/// Waits until a copy is complete.
void wait_for(const LaneCopy& copy);

}  // namespace sgpt_mi::memory
