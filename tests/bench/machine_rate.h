#pragma once

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <benchmark/benchmark.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>

#include "support/random_tensor.h"

namespace sgpt_mi::bench {

/// Where everything is measured; set once, before the first measurement.
inline torch::Device place = torch::kCPU;

/// Waits for what a GPU was given to do.
inline void finish() {
  if (place.is_cuda()) c10::impl::VirtualGuardImpl(place.type()).getStream(place).synchronize();
}

/// A matrix of normal numbers there.
inline torch::Tensor normal_there(std::int64_t rows, std::int64_t columns, unsigned seed) {
  return test::normal(rows, columns, seed).to(place);
}

/// Best seconds of a few calls, after one that is not counted.
template <typename Work>
double best_seconds(const Work& work) {
  constexpr int kRuns = 5;
  work();
  finish();
  double best = 1e30;
  for (int i = 0; i < kRuns; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    finish();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return best;
}

/// What LibTorch's product of 1,024 x 1,024 matrices reaches here and on these threads, on a GPU of
/// 8,192 x 8,192, operations a second (a multiply-add is two).
inline double measured_product_rate(torch::ScalarType type) {
  const std::int64_t size = place.is_cuda() ? 8192 : 1024;
  const torch::Tensor a = normal_there(size, size, 1).to(type);
  const torch::Tensor b = normal_there(size, size, 2).to(type);
  torch::Tensor c = at::empty_like(a);
  const auto side = static_cast<double>(size);
  return 2.0 * side * side * side / best_seconds([&] { at::mm_out(c, a, b); });
}

/// The same in float32.
inline double product_rate() {
  static const double rate = measured_product_rate(torch::kFloat32);
  return rate;
}

/// What LibTorch reaches when it scales 64 MiB into another 64 MiB, on a GPU 1 GiB, bytes a second.
inline double memory_rate() {
  static const double rate = [] {
    const std::int64_t values = std::int64_t{1} << (place.is_cuda() ? 28 : 24);
    const torch::Tensor from = at::ones({1, values}, torch::TensorOptions(place));
    torch::Tensor to = at::empty_like(from);
    return 2.0 * sizeof(float) * static_cast<double>(values) /
           best_seconds([&] { at::mul_out(to, from, from); });
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
