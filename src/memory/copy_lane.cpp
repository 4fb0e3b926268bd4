#include "sgpt_mi/memory/copy_lane.h"

#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace sgpt_mi::memory {
namespace {

c10::Stream present_stream(torch::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

}  // namespace

CopyLane::CopyLane(torch::Device device) : device_(device) {
  if (!device.is_cuda()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

torch::Tensor CopyLane::host_tensor(at::IntArrayRef sizes, torch::ScalarType type) const {
  return at::empty(sizes, torch::TensorOptions(type).pinned_memory(stream_.has_value()));
}

LaneCopy CopyLane::to_host(const torch::Tensor& tensor) const {
  LaneCopy copy{host_tensor(tensor.sizes(), tensor.scalar_type())};
  if (!stream_) {
    copy.value.copy_(tensor);
    return copy;
  }
  c10::Event computed(device_.type());
  computed.record(present_stream(device_));
  computed.block(*stream_);
  const c10::StreamGuard beside(*stream_);
  copy.value.copy_(tensor, /*non_blocking=*/true);
  tensor.record_stream(*stream_);  // its memory is not given away before it is copied
  copy.done.emplace(device_.type());
  copy.done->record(*stream_);
  return copy;
}

LaneCopy CopyLane::to_device(const torch::Tensor& tensor) const {
  if (!stream_) return {tensor.to(device_, /*non_blocking=*/false, /*copy=*/true)};
  const c10::StreamGuard beside(*stream_);
  LaneCopy copy{tensor.to(device_, /*non_blocking=*/true)};
  copy.done.emplace(device_.type());
  copy.done->record(*stream_);
  return copy;
}

torch::Tensor CopyLane::use(LaneCopy copy) const {
  if (!copy.done) return std::move(copy.value);
  const c10::Stream stream = present_stream(device_);
  copy.done->block(stream);
  copy.value.record_stream(stream);
  return std::move(copy.value);
}

void wait_for(const LaneCopy& copy) {
  if (copy.done) copy.done->synchronize();
}

}  // namespace sgpt_mi::memory
