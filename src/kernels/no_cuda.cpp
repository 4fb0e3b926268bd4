#include "cuda_twins.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::kernels::cuda {
namespace {

[[noreturn]] void refuse(const char* op) {
  fail(ErrorKind::kDevice,
       "kernels: {} was asked for on a CUDA device; this program was built without CUDA; "
       "use --device cpu, or configure with -DSGPT_MI_CUDA=ON",
       op);
}

}  // namespace

void obs_block(const ObsBlock& /*block*/, void* /*stream*/) { refuse("the column loop"); }

void descend_block(const DescentBlock& /*block*/, void* /*stream*/) {
  refuse("coordinate descent");
}

float kth_smallest(const std::vector<ValueRun>& /*runs*/, std::int64_t /*k*/) {
  refuse("selection");
}

void fit_grid(const GridFit& /*fit*/, void* /*stream*/) { refuse("grid fitting"); }

void correlate(const CorrelationMap& /*map*/, void* /*stream*/) { refuse("the correlation map"); }

void find_degrees(const AffinityDegrees& /*degrees*/, void* /*stream*/) {
  refuse("the degrees of an affinity");
}

void scale_rows(const RowScaling& /*scaling*/, void* /*stream*/) { refuse("scaling of rows"); }

void dequantize_packed(const PackedWeights& /*packed*/, void* /*stream*/) {
  refuse("dequantization");
}

void decode_levels(const LevelStreams& /*streams*/, void* /*stream*/) {
  refuse("decoding of levels");
}

}  // namespace sgpt_mi::kernels::cuda
