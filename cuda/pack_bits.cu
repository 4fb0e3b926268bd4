#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "launch.cuh"
#include "sgpt_mi/kernels/pack_bits.h"

namespace sgpt_mi::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kRun = 8;  // codes that fill whole bytes at every width

struct Packing {
  const std::uint8_t* codes;
  std::int64_t count;
  int width;
  std::uint8_t* packed;
  unsigned* too_wide;  // set when a code does not fit
};

/// One run of 8 codes per lane. The warp's 32 * width bytes are then written 32 neighbours at a
/// time: byte b of them belongs to lane b / width.
__global__ void pack_runs(Packing packing) {
  const int lane = lane_index();
  const std::int64_t first_run = warp_index() * kWarp;
  std::uint64_t word = 0;
  for (std::int64_t i = 0; i < kRun; ++i) {
    const std::int64_t at = (first_run + lane) * kRun + i;
    const std::uint64_t code = at < packing.count ? packing.codes[at] : 0;
    if (code >> packing.width != 0) atomicOr(packing.too_wide, 1U);
    word |= code << (i * packing.width);
  }
  const std::int64_t bytes = packed_bytes(packing.count, packing.width);
  for (int step = 0; step < packing.width; ++step) {
    const int byte = step * kWarp + lane;
    const std::uint64_t source = __shfl_sync(kAllLanes, word, byte / packing.width);
    const std::int64_t at = first_run * packing.width + byte;
    if (at < bytes) {
      packing.packed[at] = static_cast<std::uint8_t>(source >> (8 * (byte % packing.width)));
    }
  }
}

struct Unpacking {
  const std::uint8_t* packed;
  std::int64_t first;
  std::int64_t count;
  int width;
  std::uint8_t* codes;
};

/// One code per thread: neighbours share their bytes' cache line, and write neighbouring bytes.
__global__ void unpack_codes(Unpacking unpacking) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= unpacking.count) return;
  unpacking.codes[i] =
      static_cast<std::uint8_t>(code_at(unpacking.packed, unpacking.first + i, unpacking.width));
}

}  // namespace

bool pack_bits(const std::uint8_t* codes, std::int64_t count, int width, std::uint8_t* packed,
               void* stream_handle) {
  auto* stream = static_cast<cudaStream_t>(stream_handle);
  const DeviceBuffer<unsigned> too_wide(1, stream);
  check(cudaMemsetAsync(too_wide.data(), 0, too_wide.bytes(), stream), "cudaMemsetAsync");
  launch(pack_runs, "bit packing", {blocks_for(count, kRun * kThreads), kThreads, 0}, stream,
         Packing{codes, count, width, packed, too_wide.data()});
  unsigned found = 0;
  check(cudaMemcpyAsync(&found, too_wide.data(), sizeof found, cudaMemcpyDeviceToHost, stream),
        "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return found == 0;
}

void unpack_bits(const std::uint8_t* packed, std::int64_t first, std::int64_t count, int width,
                 std::uint8_t* codes, void* stream) {
  launch(unpack_codes, "bit unpacking", {blocks_for(count, kThreads), kThreads, 0}, stream,
         Unpacking{packed, first, count, width, codes});
}

}  // namespace sgpt_mi::kernels::cuda
