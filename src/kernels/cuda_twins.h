#pragma once

#include <cstdint>
#include <vector>

#include "sgpt_mi/kernels/affinity.h"
#include "sgpt_mi/kernels/correlation.h"
#include "sgpt_mi/kernels/decode_levels.h"
#include "sgpt_mi/kernels/dequantize_packed.h"
#include "sgpt_mi/kernels/descend_block.h"
#include "sgpt_mi/kernels/fit_grid.h"
#include "sgpt_mi/kernels/kth_smallest.h"
#include "sgpt_mi/kernels/obs_block.h"

// The CUDA twins of the ops: defined in cuda/<op>.cu, or in no_cuda.cpp where they throw
// Error(kDevice). Arguments are checked by the caller. `stream` is a cudaStream_t.
namespace sgpt_mi::kernels::cuda {

void obs_block(const ObsBlock& block, void* stream);

void descend_block(const DescentBlock& block, void* stream);

[[nodiscard]] float kth_smallest(const std::vector<ValueRun>& runs, std::int64_t k);

void fit_grid(const GridFit& fit, void* stream);

void correlate(const CorrelationMap& map, void* stream);

void find_degrees(const AffinityDegrees& degrees, void* stream);

void scale_rows(const RowScaling& scaling, void* stream);

void dequantize_packed(const PackedWeights& packed, void* stream);

void decode_levels(const LevelStreams& streams, void* stream);

}  // namespace sgpt_mi::kernels::cuda
