#include "sgpt_mi/ranks/world.h"

#include <spdlog/fmt/fmt.h>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::ranks {

std::string Transport::name_of(int rank) const {
  return fmt::format("rank {} on {}", rank, host(rank));
}

std::string World::name_of(int rank) const {
  return transport_ ? transport_->name_of(rank) : "rank 0";
}

void World::send(std::span<const std::byte> bytes, int to) const {
  ensure(transport_ != nullptr && to != rank(), "ranks: bytes for this process itself");
  transport_->send(bytes, to);
}

void World::receive(std::span<std::byte> bytes, int from) const {
  ensure(transport_ != nullptr && from != rank(), "ranks: bytes of this process itself");
  transport_->receive(bytes, from);
  count_received(bytes.size());
}

void World::broadcast(std::span<std::byte> bytes, int from) const {
  if (alone()) return;
  transport_->broadcast(bytes, from);
  if (from != rank()) count_received(bytes.size());
}

}  // namespace sgpt_mi::ranks
