#include "sgpt_mi/ranks/broadcast_source.h"

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/ranks/messages.h"

namespace sgpt_mi::ranks {

using nlohmann::json;

BroadcastSource::BroadcastSource(const World& world, const containers::TensorSource& source)
    : world_(world), source_(source) {
  if (world_.alone()) return;
  json infos = json::array();
  for (const containers::TensorInfo& info : source_.tensors()) {
    infos.push_back({info.name, static_cast<int>(info.dtype), info.shape});
  }
  infos = broadcast(world_, std::move(infos), 0);
  for (const json& info : infos) {
    tensors_.push_back({info.at(0), static_cast<DType>(info.at(1).get<int>()), info.at(2)});
  }
}

containers::TensorData BroadcastSource::read(const std::string& name) const {
  if (world_.alone()) return source_.read(name);
  ensure(broadcast(world_, json(name), 0) == name, "ranks: tensors are read in different orders");
  if (world_.leads()) {
    containers::TensorData data = source_.read(name);
    // What is sent is only read.
    world_.broadcast({const_cast<std::byte*>(data.bytes.data()), data.bytes.size()}, 0);
    return data;
  }
  const containers::TensorInfo* info = find(name);
  ensure(info != nullptr, "ranks: a tensor that rank 0 does not have");
  auto buffer = std::make_shared<std::vector<std::byte>>(info->bytes());
  world_.broadcast(*buffer, 0);
  return {*info, *buffer, buffer};
}

void BroadcastSource::will_need(const std::string& name) const {
  if (world_.leads()) source_.will_need(name);
}

void BroadcastSource::done_with(const std::string& name) const {
  if (world_.leads()) source_.done_with(name);
}

const containers::TensorInfo* BroadcastSource::find(const std::string& name) const {
  return world_.alone() ? source_.find(name) : containers::TensorSource::find(name);
}

}  // namespace sgpt_mi::ranks
