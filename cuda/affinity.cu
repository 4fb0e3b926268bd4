#include <cstdint>

#include "arithmetic.h"
#include "cuda_twins.h"
#include "launch.cuh"

namespace sgpt_mi::kernels::cuda {
namespace {

static_assert(kWarp == kSumLanes, "a warp adds as the CPU's lanes do");
constexpr int kThreads = 256;

/// One warp per row.
__global__ void sum_rows(AffinityDegrees degrees) {
  const std::int64_t row = warp_index();
  if (row >= degrees.affinity.rows) return;
  const float* values = degrees.affinity.row(row);
  double sum = 0.0;
  for (std::int64_t j = lane_index(); j < degrees.affinity.columns; j += kWarp) {
    sum += static_cast<double>(values[j]);
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(kAllLanes, sum, offset);
  }
  if (lane_index() != 0) return;
  degrees.degree[row] = sum;
  degrees.inverse_root[row] = inverse_root_of(sum);
}

/// One thread per element.
__global__ void scale_elements(RowScaling scaling) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::int64_t row = thread / scaling.values.columns;
  const std::int64_t column = thread % scaling.values.columns;
  if (row >= scaling.values.rows) return;
  scaling.scaled.row(row)[column] =
      static_cast<float>(scaling.values.row(row)[column] * scaling.factor[row]);
}

}  // namespace

void find_degrees(const AffinityDegrees& degrees, void* stream) {
  launch(sum_rows, "the degrees of an affinity",
         {blocks_for(degrees.affinity.rows * kWarp, kThreads), kThreads, 0}, stream, degrees);
}

void scale_rows(const RowScaling& scaling, void* stream) {
  launch(scale_elements, "scaling of rows",
         {blocks_for(scaling.values.rows * scaling.values.columns, kThreads), kThreads, 0}, stream,
         scaling);
}

}  // namespace sgpt_mi::kernels::cuda
