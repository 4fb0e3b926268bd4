#pragma once

#include <torch/types.h>

#include <memory>

#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::ranks {

/// The wire between the GPUs of all ranks, by NCCL; null, on every rank, where the program was
/// built without it, a rank computes on a CPU, or two share a GPU. Of all ranks.
///
/// Before tensors move, those who give and take them meet through the host: a rank that hangs is
/// found out there, because NCCL's own waiting has no end.
///
/// Throws Error(kDevice) when NCCL cannot connect them.
[[nodiscard]] std::shared_ptr<DeviceWire> connect_devices(const World& world, torch::Device device);

}  // namespace sgpt_mi::ranks
