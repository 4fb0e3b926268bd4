#include "block_reader.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace sgpt_mi::model {
namespace {

/// A copy of a CPU tensor in pinned memory, which a GPU reads without the processor's help.
torch::Tensor pinned_copy(const torch::Tensor& tensor) {
  torch::Tensor pinned = at::empty_like(tensor, tensor.options().pinned_memory(true));
  return pinned.copy_(tensor);
}

/// The block's tensors on a GPU, complete when this returns, by way of a stream of its own.
BlockTensors load_beside(const containers::TensorSource& source, const BlockNames& names,
                         const Placement& where) {
  const c10::DeviceGuard device(where.device);
  const c10::impl::VirtualGuardImpl gpu(where.device.type());
  const c10::Stream stream = gpu.getStreamFromGlobalPool(where.device);
  const c10::StreamGuard beside(stream);
  BlockTensors tensors;
  for (const auto& [short_name, name] : names) {
    torch::Tensor tensor = pinned_copy(to_torch(source.read(name)))
                               .to(where.device, /*non_blocking=*/true)
                               .to(where.dtype);
    source.done_with(name);
    require_finite(tensor, name);
    tensors.emplace(short_name, std::move(tensor));
  }
  stream.synchronize();
  return tensors;
}

/// Tells the allocator that tensors of another stream are used on the present one.
void use_on_current_stream(const BlockTensors& tensors, torch::Device device) {
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  for (const auto& [name, tensor] : tensors) tensor.record_stream(stream);
}

bool same_place(const Placement& a, const Placement& b) {
  return a.device == b.device && a.dtype == b.dtype;
}

}  // namespace

torch::Tensor load_tensor(const containers::TensorSource& source, const std::string& name,
                          const Placement& where) {
  torch::Tensor tensor = to_torch(source.read(name))
                             .to(where.device, where.dtype, /*non_blocking=*/false,
                                 /*copy=*/true);
  source.done_with(name);
  require_finite(tensor, name);
  return tensor;
}

BlockTensors BlockReader::read(std::int64_t layer, const BlockNames& names,
                               const Placement& where) {
  if (ahead_.valid() && layer == ahead_layer_ && same_place(where, ahead_where_)) {
    BlockTensors tensors = ahead_.get();
    use_on_current_stream(tensors, where.device);
    return tensors;
  }
  BlockTensors tensors;
  for (const auto& [short_name, name] : names) {
    tensors.emplace(short_name, load_tensor(source_, name, where));
  }
  return tensors;
}

void BlockReader::read_ahead(std::int64_t layer, const BlockNames& names, const Placement& where) {
  for (const auto& [short_name, name] : names) source_.will_need(name);
  if (!where.device.is_cuda() || !source_.concurrent()) return;
  ahead_layer_ = layer;
  ahead_where_ = where;
  ahead_ = std::async(std::launch::async, [&source = source_, names, where] {
    return load_beside(source, names, where);
  });
}

}  // namespace sgpt_mi::model
