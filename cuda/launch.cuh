#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "device_status.h"

// What kernels use of the language beyond C++ goes through this file and CUDA's functions, so that
// tests/emulated can compile them as plain C++.
namespace sgpt_mi::kernels::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffU;

/// Shared memory that every device grants a block without being asked.
constexpr std::int64_t kSharedBytes = 48 * 1024;

/// The block's shared memory of the launch as an array of T. Kernels declare no other.
template <typename T>
__device__ T* shared_memory() {
  extern __shared__ double block_shared_memory[];
  return reinterpret_cast<T*>(block_shared_memory);
}

constexpr std::int64_t kMostBlocks = 0x7fffffff;

/// Blocks of a launch, threads of each, bytes of shared memory of each.
struct LaunchShape {
  std::int64_t blocks = 1;
  int threads = 1;
  std::int64_t shared_bytes = 0;
};

/// Starts kernel(arguments...) on the stream. `name` is for errors.
/// Throws Error(kDevice) when the launch is refused.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const char* name, LaunchShape shape, void* stream,
            const Arguments&... arguments) {
  if (shape.blocks > kMostBlocks) {
    fail(ErrorKind::kDevice, "kernels: {} would need {} blocks of threads; at most {} are possible",
         name, shape.blocks, kMostBlocks);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = static_cast<std::size_t>(shape.shared_bytes);
  config.stream = static_cast<cudaStream_t>(stream);
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

/// Least number of blocks of `share` that cover `count`.
constexpr std::int64_t blocks_for(std::int64_t count, std::int64_t share) {
  return (count + share - 1) / share;
}

/// Starts a kernel with a warp for each row of a block, whose columns take `column_bytes` of shared
/// memory each. Throws Error(kDevice) when not even one row fits.
template <typename Block>
void launch_rows(void (*kernel)(Block), const char* name, const Block& block,
                 std::int64_t column_bytes, void* stream) {
  constexpr std::int64_t kMostWarps = 8;
  const std::int64_t row_bytes = block.weight.columns * column_bytes;
  const std::int64_t fitting = kSharedBytes / row_bytes;
  const std::int64_t warps = fitting < kMostWarps ? fitting : kMostWarps;
  if (warps < 1) {
    fail(ErrorKind::kDevice,
         "kernels: blocks of {} columns do not fit a GPU's shared memory; at most {}; "
         "use a smaller --blocksize",
         block.weight.columns, kSharedBytes / column_bytes);
  }
  launch(kernel, name,
         {blocks_for(block.weight.rows, warps), static_cast<int>(warps) * kWarp, warps * row_bytes},
         stream, block);
}

/// The calling thread's lane in its warp, for blocks of one dimension.
__device__ inline int lane_index() { return static_cast<int>(threadIdx.x) % kWarp; }

/// The calling thread's warp, numbered over all blocks.
__device__ inline std::int64_t warp_index() {
  return (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
}

}  // namespace sgpt_mi::kernels::cuda
