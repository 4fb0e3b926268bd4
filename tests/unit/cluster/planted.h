#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randperm.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "cluster/labels.h"

namespace sgpt_mi::cluster::test {

/// An affinity with known groups.
struct Planted {
  torch::Tensor affinity;
  Labels truth;  ///< numbered by first channel
};

/// Uniform in [0, 1), symmetric, diagonal 0.
inline torch::Tensor random_affinity(std::int64_t channels, std::uint64_t seed) {
  const torch::Tensor upper =
      at::rand({channels, channels}, at::detail::createCPUGenerator(seed), torch::kFloat32).triu(1);
  return upper + upper.t();
}

inline std::vector<std::int64_t> random_order(std::int64_t channels, std::uint64_t seed) {
  const torch::Tensor order =
      at::randperm(channels, at::detail::createCPUGenerator(seed), torch::kInt64);
  return {order.data_ptr<std::int64_t>(), order.data_ptr<std::int64_t>() + channels};
}

inline torch::Tensor permuted(const torch::Tensor& matrix, const std::vector<std::int64_t>& order) {
  const torch::Tensor places = at::tensor(order, torch::kInt64);
  return matrix.index_select(0, places).index_select(1, places).contiguous();
}

/// Channel i of the result is channel order[i].
inline Labels permuted(const Labels& labels, const std::vector<std::int64_t>& order) {
  Labels result;
  for (const std::int64_t i : order) result.push_back(labels[static_cast<std::size_t>(i)]);
  number_by_first_channel(result);
  return result;
}

/// Groups of the given sizes in random order: affinities in [0.5, 0.9) inside, [0, 0.3) between.
inline Planted planted(const std::vector<std::int64_t>& sizes, std::uint64_t seed) {
  Labels labels;
  for (std::size_t g = 0; g < sizes.size(); ++g) {
    labels.insert(labels.end(), static_cast<std::size_t>(sizes[g]), static_cast<std::int32_t>(g));
  }
  const auto channels = static_cast<std::int64_t>(labels.size());
  const std::vector<std::int64_t> order = random_order(channels, seed + 1);
  Planted result{{}, permuted(labels, order)};
  const torch::Tensor group = at::tensor(result.truth, torch::kInt64);
  const torch::Tensor same = group.unsqueeze(0).eq(group.unsqueeze(1));
  const torch::Tensor noise = random_affinity(channels, seed);
  result.affinity = at::where(same, noise * 0.4 + 0.5, noise * 0.3).fill_diagonal_(0.0);
  return result;
}

}  // namespace sgpt_mi::cluster::test
