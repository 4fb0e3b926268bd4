#include "sgpt_mi/ranks/messages.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::ranks {
namespace {

using nlohmann::json;

std::span<std::byte> bytes_of(const torch::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

torch::Tensor on_host(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.to(torch::kCPU).contiguous() : tensor;
}

/// Whether a tensor travels from GPU to GPU.
bool is_wired(const World& world, const torch::Tensor& tensor) {
  return tensor.defined() && tensor.is_cuda() && world.wire() != nullptr;
}

json describe(const World& world, const std::vector<torch::Tensor>& tensors) {
  json shapes = json::array();
  for (const torch::Tensor& tensor : tensors) {
    if (!tensor.defined()) {
      shapes.push_back(nullptr);
      continue;
    }
    shapes.push_back(
        {static_cast<int>(tensor.scalar_type()), tensor.sizes().vec(), is_wired(world, tensor)});
  }
  return shapes;
}

/// Room for what describe() described.
std::vector<torch::Tensor> make_room(const World& world, const json& shapes) {
  std::vector<torch::Tensor> tensors;
  for (const json& shape : shapes) {
    if (shape.is_null()) {
      tensors.emplace_back();
      continue;
    }
    torch::TensorOptions options(static_cast<torch::ScalarType>(shape.at(0).get<int>()));
    if (shape.at(2).get<bool>()) {
      const auto index = static_cast<c10::DeviceIndex>(world.wire()->device());
      options = options.device(torch::kCUDA, index);
    }
    tensors.push_back(at::empty(shape.at(1).get<std::vector<std::int64_t>>(), options));
  }
  return tensors;
}

bool any_is_wired(const World& world, const std::vector<torch::Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const torch::Tensor& tensor) { return is_wired(world, tensor); });
}

/// Returns when the other rank has called it too. Before tensors travel from GPU to GPU: waiting
/// for those has no end, waiting here has.
void meet(const World& world, int other) {
  std::byte here{};
  const bool first = world.rank() < other;
  if (first) world.send({&here, 1}, other);
  world.receive({&here, 1}, other);
  if (!first) world.send({&here, 1}, other);
}

/// Returns when all ranks have called it.
void meet_all(const World& world) {
  std::byte here{};
  for (int rank = 0; rank < world.size(); ++rank) world.broadcast({&here, 1}, rank);
}

/// Calls exchange(bytes) with the bytes of a tensor of the host, or wired(bytes, count) with those
/// of one that travels from GPU to GPU.
template <typename Exchange, typename Wired>
void exchange_tensor(const World& world, const torch::Tensor& tensor, const Exchange& exchange,
                     const Wired& wired) {
  if (!tensor.defined() || tensor.nbytes() == 0) return;
  if (is_wired(world, tensor)) {
    const torch::Tensor laid_out = tensor.contiguous();
    return wired(laid_out.data_ptr(), laid_out.nbytes());
  }
  exchange(bytes_of(on_host(tensor)));
}

/// Numbers keep their bits in CBOR, and NaN stays NaN.
std::vector<std::uint8_t> packed(const json& value) { return json::to_cbor(value); }

template <typename Exchange>
void exchange_packed(std::vector<std::uint8_t>& text, const Exchange& exchange) {
  std::array<std::uint64_t, 1> size{text.size()};
  exchange(std::as_writable_bytes(std::span(size)));
  text.resize(size[0]);
  exchange(std::as_writable_bytes(std::span(text)));
}

}  // namespace

Message broadcast(const World& world, Message message, int from) {
  if (world.alone()) return message;
  const auto exchange = [&](std::span<std::byte> bytes) { world.broadcast(bytes, from); };
  const bool sends = world.rank() == from;
  std::vector<std::uint8_t> header;
  if (sends) header = packed({std::move(message.value), describe(world, message.tensors)});
  exchange_packed(header, exchange);
  json parts = json::from_cbor(header);
  if (!sends) message.tensors = make_room(world, parts.at(1));
  if (any_is_wired(world, message.tensors)) meet_all(world);
  for (const torch::Tensor& tensor : message.tensors) {
    exchange_tensor(world, tensor, exchange, [&](void* bytes, std::size_t count) {
      world.wire()->broadcast(bytes, count, from);
      if (!sends) world.count_received(count);
    });
  }
  message.value = std::move(parts.at(0));
  return message;
}

json broadcast(const World& world, json value, int from) {
  return broadcast(world, Message{std::move(value), {}}, from).value;
}

std::vector<torch::Tensor> broadcast(const World& world, std::vector<torch::Tensor> tensors,
                                     int from, torch::Device device) {
  std::vector<torch::Tensor> all =
      broadcast(world, Message{nullptr, std::move(tensors)}, from).tensors;
  for (torch::Tensor& tensor : all) {
    if (tensor.defined()) tensor = tensor.to(device);
  }
  return all;
}

void send(const World& world, const std::vector<torch::Tensor>& tensors, int to) {
  std::vector<std::uint8_t> header = packed(describe(world, tensors));
  const auto exchange = [&](std::span<std::byte> bytes) { world.send(bytes, to); };
  exchange_packed(header, exchange);
  if (any_is_wired(world, tensors)) meet(world, to);
  for (const torch::Tensor& tensor : tensors) {
    exchange_tensor(world, tensor, exchange, [&](const void* bytes, std::size_t count) {
      world.wire()->send(bytes, count, to);
    });
  }
}

std::vector<torch::Tensor> receive(const World& world, int from, torch::Device device) {
  const auto exchange = [&](std::span<std::byte> bytes) { world.receive(bytes, from); };
  std::vector<std::uint8_t> header;
  exchange_packed(header, exchange);
  std::vector<torch::Tensor> tensors = make_room(world, json::from_cbor(header));
  if (any_is_wired(world, tensors)) meet(world, from);
  for (torch::Tensor& tensor : tensors) {
    exchange_tensor(world, tensor, exchange, [&](void* bytes, std::size_t count) {
      world.wire()->receive(bytes, count, from);
      world.count_received(count);
    });
    if (tensor.defined()) tensor = tensor.to(device);
  }
  return tensors;
}

std::int64_t least_of(const World& world, std::int64_t number) {
  std::int64_t least = number;
  for (int rank = 0; rank < world.size(); ++rank) {
    least = std::min(least, broadcast(world, json(number), rank).get<std::int64_t>());
  }
  return least;
}

torch::Tensor gather_rows(const World& world, const torch::Tensor& rows, torch::Device device) {
  if (world.alone()) return rows;
  std::vector<torch::Tensor> all;
  for (int rank = 0; rank < world.size(); ++rank) {
    torch::Tensor part = broadcast(world, Message{nullptr, {rows}}, rank).tensors.front();
    if (part.defined()) all.push_back(std::move(part));
  }
  for (torch::Tensor& part : all) part = part.to(device);
  return all.empty() ? torch::Tensor() : at::cat(all);
}

void require_alike(const World& world, const json& value) {
  const json leading = broadcast(world, value, 0);
  for (int rank = 1; rank < world.size(); ++rank) {
    const json other = broadcast(world, value, rank);
    for (const auto& [name, expected] : leading.items()) {
      if (other.at(name) == expected) continue;
      fail(ErrorKind::kInput,
           "ranks: {} has another {} than {}: {} and {}; start the same program with the same "
           "files and settings on machines of one kind",
           world.name_of(rank), name, world.name_of(0), other.at(name).dump(), expected.dump());
    }
  }
}

}  // namespace sgpt_mi::ranks
