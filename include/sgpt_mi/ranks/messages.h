#pragma once

#include <torch/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "sgpt_mi/ranks/world.h"

namespace sgpt_mi::ranks {

/// What one rank tells another: a value, and tensors, some of them maybe undefined.
struct Message {
  nlohmann::json value;
  std::vector<torch::Tensor> tensors;
};

/// The message of `from`, on every rank; tensors that arrived lie on the CPU.
[[nodiscard]] Message broadcast(const World& world, Message message, int from);

/// A value alone.
[[nodiscard]] nlohmann::json broadcast(const World& world, nlohmann::json value, int from);

/// The least of all ranks' numbers, on every rank.
[[nodiscard]] std::int64_t least_of(const World& world, std::int64_t number);

/// Tensors alone, on `device`.
[[nodiscard]] std::vector<torch::Tensor> broadcast(const World& world,
                                                   std::vector<torch::Tensor> tensors, int from,
                                                   torch::Device device);

void send(const World& world, const std::vector<torch::Tensor>& tensors, int to);
[[nodiscard]] std::vector<torch::Tensor> receive(const World& world, int from,
                                                 torch::Device device);

/// The rows of all ranks' tensors, below each other in the order of ranks, on every rank and on
/// `device`. A rank without any gives an undefined tensor.
[[nodiscard]] torch::Tensor gather_rows(const World& world, const torch::Tensor& rows,
                                        torch::Device device);

/// Throws Error(kInput) naming the first rank whose value differs from rank 0's, and the member.
void require_alike(const World& world, const nlohmann::json& value);

}  // namespace sgpt_mi::ranks
