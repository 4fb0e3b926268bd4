#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <torch/types.h>

#include <cstdint>

namespace sgpt_mi::test {

/// Standard normal float32 values from a seed.
inline torch::Tensor normal(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed), torch::kFloat32);
}

/// H of `tokens` normal inputs whose `channels` channels are mixed, so that they correlate.
inline torch::Tensor correlated_hessian(std::int64_t channels, std::int64_t tokens,
                                        std::uint64_t seed) {
  const torch::Tensor mixing = normal(channels, channels, seed + 1);
  const torch::Tensor x = normal(tokens, channels, seed).matmul(mixing);
  return x.t().matmul(x) / static_cast<double>(tokens);
}

}  // namespace sgpt_mi::test
