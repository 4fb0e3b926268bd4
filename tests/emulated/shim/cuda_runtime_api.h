#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

// The part of CUDA's language and runtime that the kernels of cuda/ use, for a C++ compiler. Blocks
// run one after the other on the calling thread; the threads of a block take turns, and change at
// barriers and warp functions only (emulator.cpp). Streams are ignored: every call has finished
// when it returns. Memory of the device is memory of the host, without a value when it is new.
// There are four devices, which are told apart by what was launched while they were current.

#define __global__
#define __device__
#define __host__
#define __shared__
#define __launch_bounds__(...)

struct uint3 {
  unsigned x = 0;
  unsigned y = 0;
  unsigned z = 0;
};

struct dim3 {
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  unsigned x;
  unsigned y;
  unsigned z;
};

// Of the thread whose turn it is.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

// --- runtime
// --------------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess,
  cudaErrorInvalidValue,
  cudaErrorMemoryAllocation,
  cudaErrorInvalidDevice,
  cudaErrorInvalidConfiguration
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
using cudaStream_t = void*;

const char* cudaGetErrorName(cudaError_t status);
const char* cudaGetErrorString(cudaError_t status);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

namespace emulated {

/// Allows a kernel more shared memory than 48 KiB.
cudaError_t allow_shared_bytes(const void* kernel, int bytes);

/// Runs `thread` once for every thread of every block.
cudaError_t run(const cudaLaunchConfig_t& config, const void* kernel,
                const std::function<void()>& thread);

/// What the lanes of a warp brought to a warp function.
struct Lanes {
  std::uint64_t value[32];
  unsigned present;  // lanes that brought one
};

/// Waits until all running lanes of `mask` have called the same function; `name` for errors.
const Lanes& meet(const char* name, unsigned mask, std::uint64_t value);

/// The same for all threads of the block.
void meet_block();

/// The calling thread's lane.
int lane();

/// The value of lane `from`, which must have called too.
std::uint64_t value_of(const Lanes& lanes, const char* name, int from);

template <typename T>
T shuffle(const char* name, unsigned mask, T value, int from) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = value_of(meet(name, mask, bits), name, from);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulated

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  const std::tuple<Parameters...> copies(std::forward<Arguments>(arguments)...);
  return emulated::run(*config, reinterpret_cast<const void*>(kernel),
                       [&] { std::apply(kernel, copies); });
}

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute /*shared*/,
                                 int bytes) {
  return emulated::allow_shared_bytes(reinterpret_cast<const void*>(kernel), bytes);
}

// --- device functions
// -----------------------------------------------------------------------------

inline void __syncthreads() { emulated::meet_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffU) { emulated::meet("__syncwarp", mask, 0); }

template <typename T>
T __shfl_sync(unsigned mask, T value, int from) {
  return emulated::shuffle("__shfl_sync", mask, value, from & 31);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return emulated::shuffle("__shfl_xor_sync", mask, value, emulated::lane() ^ lanes);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes) {
  const int from = emulated::lane() + static_cast<int>(lanes);
  return emulated::shuffle("__shfl_down_sync", mask, value, from < 32 ? from : emulated::lane());
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes) {
  const int from = emulated::lane() - static_cast<int>(lanes);
  return emulated::shuffle("__shfl_up_sync", mask, value, from >= 0 ? from : emulated::lane());
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const emulated::Lanes& lanes = emulated::meet("__ballot_sync", mask, predicate != 0 ? 1 : 0);
  unsigned bits = 0;
  for (int l = 0; l < 32; ++l) {
    if ((lanes.present >> l & 1U) != 0 && lanes.value[l] != 0) bits |= 1U << l;
  }
  return bits;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate == 0) == 0;
}

inline float __uint_as_float(unsigned bits) {
  float value = 0.0F;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned __float_as_uint(float value) {
  unsigned bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

/// Threads never run at the same time.
template <typename T>
T atomicAdd(T* to, T value) {
  const T before = *to;
  *to += value;
  return before;
}
template <typename T>
T atomicOr(T* to, T value) {
  const T before = *to;
  *to |= value;
  return before;
}
