#include "block_reader.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>
#include <utility>

#include "sgpt_mi/unpack/unpack_on.h"

namespace sgpt_mi::model {
namespace {

/// A copy of a CPU tensor in pinned memory, which a GPU reads without the processor's help.
torch::Tensor pinned_copy(const torch::Tensor& tensor) {
  torch::Tensor pinned = at::empty_like(tensor, tensor.options().pinned_memory(true));
  return pinned.copy_(tensor);
}

/// A tensor as it is stored, on its way to a GPU.
torch::Tensor copy_to_gpu(const WeightFiles& files, const std::string& name, torch::Device gpu) {
  if (files.packed != nullptr) {
    const std::optional<packing::PackedParts> parts = files.packed->packed_parts(name);
    if (parts) return unpack::unpack_on(gpu, *parts);
  }
  return pinned_copy(to_torch(files.tensors.read(name))).to(gpu, /*non_blocking=*/true);
}

/// The block's tensors on a GPU, complete when this returns, by way of a stream of its own.
BlockTensors load_beside(const WeightFiles& files, const BlockNames& names,
                         const Placement& where) {
  const c10::DeviceGuard device(where.device);
  const c10::impl::VirtualGuardImpl gpu(where.device.type());
  const c10::Stream stream = gpu.getStreamFromGlobalPool(where.device);
  const c10::StreamGuard beside(stream);
  BlockTensors tensors;
  for (const auto& [short_name, name] : names) {
    tensors.emplace(short_name, load_tensor(files, name, where));
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

torch::Tensor load_tensor(const WeightFiles& files, const std::string& name,
                          const Placement& where) {
  torch::Tensor tensor = where.device.is_cuda()
                             ? copy_to_gpu(files, name, where.device).to(where.dtype)
                             : to_torch(files.tensors.read(name))
                                   .to(where.device, where.dtype, /*non_blocking=*/false,
                                       /*copy=*/true);
  files.tensors.done_with(name);
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
    tensors.emplace(short_name, load_tensor(files_, name, where));
  }
  return tensors;
}

void BlockReader::read_ahead(std::int64_t layer, const BlockNames& names, const Placement& where) {
  for (const auto& [short_name, name] : names) files_.tensors.will_need(name);
  if (!where.device.is_cuda() || !files_.tensors.concurrent()) return;
  ahead_layer_ = layer;
  ahead_where_ = where;
  ahead_ = std::async(std::launch::async,
                      [files = files_, names, where] { return load_beside(files, names, where); });
}

}  // namespace sgpt_mi::model
