#pragma once

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "support/random_tensor.h"

namespace sgpt_mi::bench {

/// Best seconds of a few calls, after one that is not counted.
template <typename Work>
double best_seconds(const Work& work) {
  constexpr int kRuns = 5;
  work();
  double best = 1e30;
  for (int i = 0; i < kRuns; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return best;
}

/// What LibTorch's float32 product of 1,024 x 1,024 matrices reaches here and on these threads,
/// operations a second (a multiply-add is two).
inline double product_rate() {
  static const double rate = [] {
    constexpr std::int64_t kSize = 1024;
    const torch::Tensor a = test::normal(kSize, kSize, 1);
    const torch::Tensor b = test::normal(kSize, kSize, 2);
    torch::Tensor c = at::empty_like(a);
    return 2.0 * kSize * kSize * kSize / best_seconds([&] { at::mm_out(c, a, b); });
  }();
  return rate;
}

/// What LibTorch reaches when it scales 64 MiB into another 64 MiB, bytes a second.
inline double memory_rate() {
  static const double rate = [] {
    constexpr std::int64_t kValues = 1 << 24;
    const torch::Tensor from = test::normal(1, kValues, 3);
    torch::Tensor to = at::empty_like(from);
    return 2.0 * sizeof(float) * kValues / best_seconds([&] { at::mul_out(to, from, from); });
  }();
  return rate;
}

/// Reports a benchmark whose iterations do so many operations: their rate, and its share of the
/// machine's product_rate().
inline void count_operations(benchmark::State& state, double operations) {
  const double total = operations * static_cast<double>(state.iterations());
  state.counters["flop/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["of_product"] =
      benchmark::Counter(total / product_rate(), benchmark::Counter::kIsRate);
}

/// Reports one whose iterations read and write so many bytes: their rate, and its share of the
/// machine's memory_rate().
inline void count_bytes(benchmark::State& state, double bytes) {
  const double total = bytes * static_cast<double>(state.iterations());
  state.counters["byte/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["of_memory"] =
      benchmark::Counter(total / memory_rate(), benchmark::Counter::kIsRate);
}

}  // namespace sgpt_mi::bench
