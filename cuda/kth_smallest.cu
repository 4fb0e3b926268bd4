#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

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

/// Makes a device the current one, and at its end the one that was; -1: changes nothing.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) noexcept {
    if (device < 0) return;
    status_ = cudaGetDevice(&before_);
    if (status_ == cudaSuccess) status_ = cudaSetDevice(device);
  }
  ~CurrentDevice() {
    if (before_ >= 0) cudaSetDevice(before_);
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  /// Throws Error(kDevice) unless the device is current. Not thrown by the constructor, because
  /// destructors switch devices too.
  void require() const { check(status_, "cudaSetDevice"); }

 private:
  int before_ = -1;
  cudaError_t status_ = cudaSuccess;
};

/// The counts of one run on its device.
class RunCounts {
 public:
  explicit RunCounts(const ValueRun& run)
      : run_(run), stream_(static_cast<cudaStream_t>(run.backend.cuda_stream)) {
    const CurrentDevice current(run_.cuda_device);
    current.require();
    counts_ = std::make_unique<DeviceBuffer<Count>>(kBuckets, stream_);
  }
  ~RunCounts() {
    // A null stream means the current device's, where the memory is given back.
    const CurrentDevice current(run_.cuda_device);
    counts_.reset();
  }
  RunCounts(const RunCounts&) = delete;
  RunCounts& operator=(const RunCounts&) = delete;

  /// Counts the keys that match the digit; does not wait.
  void start(const RadixDigit& digit) const {
    const CurrentDevice current(run_.cuda_device);
    current.require();
    check(cudaMemsetAsync(counts_->data(), 0, counts_->bytes(), stream_), "cudaMemsetAsync");
    if (run_.count == 0) return;
    const LaunchShape shape{std::min(kMostCountBlocks, blocks_for(run_.count, kThreads)), kThreads,
                            kBuckets * sizeof(unsigned)};
    launch(count_digit, "the histogram of a selection", shape, stream_, run_.values, run_.count,
           digit, counts_->data());
  }

  /// Waits for the counts and adds them to `total`.
  void add_to(RadixHistogram& total) const {
    const CurrentDevice current(run_.cuda_device);
    current.require();
    RadixHistogram counts;
    check(cudaMemcpyAsync(counts.data(), counts_->data(), counts_->bytes(), cudaMemcpyDeviceToHost,
                          stream_),
          "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    for (std::size_t b = 0; b < total.size(); ++b) total[b] += counts[b];
  }

 private:
  const ValueRun& run_;
  cudaStream_t stream_;
  std::unique_ptr<DeviceBuffer<Count>> counts_;
};

}  // namespace

float kth_smallest(const std::vector<ValueRun>& runs, std::int64_t k) {
  static_assert(sizeof(RadixHistogram::value_type) == sizeof(Count), "histograms are copied whole");
  std::deque<RunCounts> counts;
  for (const ValueRun& run : runs) counts.emplace_back(run);
  return radix_select(k, [&](const RadixDigit& digit) {
    for (const RunCounts& run : counts) run.start(digit);
    RadixHistogram total{};
    for (const RunCounts& run : counts) run.add_to(total);
    return total;
  });
}

}  // namespace sgpt_mi::kernels::cuda
