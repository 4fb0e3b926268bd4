#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <nccl.h>
#include <spdlog/fmt/fmt.h>

#include <set>
#include <span>
#include <string>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/ranks/device_wire.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::ranks {
namespace {

void require(ncclResult_t result, const char* what) {
  if (result == ncclSuccess) return;
  fail(ErrorKind::kDevice, "ranks: NCCL cannot {}: {}; NCCL_DEBUG=INFO tells more", what,
       ncclGetErrorString(result));
}

class NcclWire : public DeviceWire {
 public:
  /// \param id  the same on every rank.
  NcclWire(const World& world, torch::Device device, const ncclUniqueId& id) : device_(device) {
    const c10::DeviceGuard guard(device_);
    require(ncclCommInitRank(&ranks_, world.size(), id, world.rank()), "connect the ranks' GPUs");
  }
  ~NcclWire() override { ncclCommDestroy(ranks_); }
  NcclWire(const NcclWire&) = delete;
  NcclWire& operator=(const NcclWire&) = delete;

  [[nodiscard]] int device() const override { return device_.index(); }

  void send(const void* bytes, std::size_t count, int to) override {
    const c10::DeviceGuard guard(device_);
    require(ncclSend(bytes, count, ncclUint8, to, ranks_, stream()), "send a tensor");
  }
  void receive(void* bytes, std::size_t count, int from) override {
    const c10::DeviceGuard guard(device_);
    require(ncclRecv(bytes, count, ncclUint8, from, ranks_, stream()), "receive a tensor");
  }
  void broadcast(void* bytes, std::size_t count, int from) override {
    const c10::DeviceGuard guard(device_);
    require(ncclBroadcast(bytes, bytes, count, ncclUint8, from, ranks_, stream()),
            "tell all ranks a tensor");
  }

 private:
  [[nodiscard]] cudaStream_t stream() const {
    return c10::cuda::getCurrentCUDAStream(device_.index()).stream();
  }

  torch::Device device_;
  ncclComm_t ranks_ = nullptr;
};

/// Whether every rank has a GPU of its own.
bool apart(const World& world, torch::Device device) {
  std::set<std::string> places;
  bool all = true;
  for (int rank = 0; rank < world.size(); ++rank) {
    const int index =
        broadcast(world, nlohmann::json(device.is_cuda() ? device.index() : -1), rank);
    const std::string host = world.name_of(rank).substr(world.name_of(rank).find(" on "));
    all = all && index >= 0 && places.insert(fmt::format("{}:{}", host, index)).second;
  }
  return all;
}

}  // namespace

std::shared_ptr<DeviceWire> connect_devices(const World& world, torch::Device device) {
  if (world.alone() || !apart(world, device)) return nullptr;
  ncclUniqueId id{};
  if (world.leads()) require(ncclGetUniqueId(&id), "begin");
  world.broadcast(std::as_writable_bytes(std::span(id.internal)), 0);
  return std::make_shared<NcclWire>(world, device, id);
}

}  // namespace sgpt_mi::ranks
