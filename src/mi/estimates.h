#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>

namespace sgpt_mi::mi {

/// sqrt(1 - exp(-2 I)), 0 for estimates below 0.
inline double informational_correlation(double nats) {
  return nats > 0.0 ? std::sqrt(-std::expm1(-2.0 * nats)) : 0.0;
}

/// Where an estimator of single pairs leaves its results: (N, N) float32 on the CPU, zeroed.
struct PairOutput {
  torch::Tensor normalized;
  torch::Tensor nats;  ///< undefined: not wanted
};

/// Writes both places of pair (i, j). Different pairs may be written at the same time.
class PairWriter {
 public:
  explicit PairWriter(const PairOutput& output)
      : normalized_(output.normalized.data_ptr<float>()),
        nats_(output.nats.defined() ? output.nats.data_ptr<float>() : nullptr),
        channels_(output.normalized.size(0)) {}

  void write(std::int64_t i, std::int64_t j, double nats, double normalized) const {
    normalized_[i * channels_ + j] = static_cast<float>(normalized);
    normalized_[j * channels_ + i] = static_cast<float>(normalized);
    if (nats_ == nullptr) return;
    nats_[i * channels_ + j] = static_cast<float>(nats);
    nats_[j * channels_ + i] = static_cast<float>(nats);
  }

 private:
  float* normalized_;
  float* nats_;
  std::int64_t channels_;
};

/// Calls make_body() once a task and its result, body(i, j), for all pairs i < j of n channels, on
/// LibTorch's threads. A task is rows r and n - 1 - r: tasks are equally long.
template <typename MakeBody>
void for_each_pair(std::int64_t n, const MakeBody& make_body) {
  at::parallel_for(0, (n + 1) / 2, 1, [&](std::int64_t begin, std::int64_t end) {
    auto body = make_body();
    const auto row = [&](std::int64_t i) {
      for (std::int64_t j = i + 1; j < n; ++j) body(i, j);
    };
    for (std::int64_t r = begin; r < end; ++r) {
      row(r);
      if (n - 1 - r != r) row(n - 1 - r);
    }
  });
}

/// The estimators on samples (T, N) that were checked. Each fills `output`, constant channels
/// included, whose entries mean nothing.
void histogram_mi(const torch::Tensor& samples, std::int64_t bins, const PairOutput& output);
void kde_mi(const torch::Tensor& samples, const PairOutput& output);
void ksg_mi(const torch::Tensor& samples, std::int64_t neighbors, std::uint64_t seed,
            const PairOutput& output);

}  // namespace sgpt_mi::mi
