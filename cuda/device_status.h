#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels::cuda {

/// Throws Error(kDevice) naming the call and CUDA's reason unless it succeeded.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  fail(ErrorKind::kDevice, "kernels: {} failed: {} ({}); the GPU work of this run is lost", call,
       cudaGetErrorString(status), cudaGetErrorName(status));
}

/// Device memory of `count` values of T, allocated and freed in stream order.
template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer(std::size_t count, cudaStream_t stream)
      : bytes_(count * sizeof(T)), stream_(stream) {
    check(cudaMallocAsync(&data_, bytes_, stream_), "cudaMallocAsync");
  }
  ~DeviceBuffer() { cudaFreeAsync(data_, stream_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  [[nodiscard]] T* data() const { return static_cast<T*>(data_); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
  cudaStream_t stream_;
};

}  // namespace sgpt_mi::kernels::cuda
