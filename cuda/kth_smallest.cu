#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda_twins.h"
#include "launch.cuh"
#include "radix_select.h"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kBuckets = 1 << kRadixBits;
constexpr int kThreads = 256;
constexpr std::int64_t kMostCountBlocks = 1024;  // a few per multiprocessor of the largest GPUs
using Count = unsigned long long;                // the 64-bit type that atomicAdd takes

/// Adds the keys that match the digit to `counts`, by bucket, through a histogram per block: counts
/// are integers, so the order of the additions does not matter.
__global__ void count_digit(const float* values, std::int64_t count, RadixDigit digit,
                            Count* counts) {
  auto* local = shared_memory<unsigned>();  // (kBuckets)
  for (int b = static_cast<int>(threadIdx.x); b < kBuckets; b += static_cast<int>(blockDim.x)) {
    local[b] = 0;
  }
  __syncthreads();
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (std::int64_t i = first; i < count; i += step) {
    const std::uint32_t key = order_key(__float_as_uint(values[i]));
    if (digit.matches(key)) atomicAdd(&local[digit.bucket(key)], 1U);
  }
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < kBuckets; b += static_cast<int>(blockDim.x)) {
    if (local[b] > 0) atomicAdd(&counts[b], static_cast<Count>(local[b]));
  }
}

}  // namespace

float kth_smallest(const float* values, std::int64_t count, std::int64_t k, void* stream_handle) {
  static_assert(sizeof(RadixHistogram::value_type) == sizeof(Count), "histograms are copied whole");
  auto* stream = static_cast<cudaStream_t>(stream_handle);
  const DeviceBuffer<Count> counts(kBuckets, stream);
  const LaunchShape shape{std::min(kMostCountBlocks, blocks_for(count, kThreads)), kThreads,
                          kBuckets * sizeof(unsigned)};
  return radix_select(k, [&](const RadixDigit& digit) {
    check(cudaMemsetAsync(counts.data(), 0, counts.bytes(), stream), "cudaMemsetAsync");
    launch(count_digit, "the histogram of a selection", shape, stream, values, count, digit,
           counts.data());
    RadixHistogram histogram;
    check(cudaMemcpyAsync(histogram.data(), counts.data(), counts.bytes(), cudaMemcpyDeviceToHost,
                          stream),
          "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    return histogram;
  });
}

}  // namespace sgpt_mi::kernels::cuda
