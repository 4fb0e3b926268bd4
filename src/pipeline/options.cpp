#include "sgpt_mi/pipeline/options.h"

#include "format_fit.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::pipeline {
void EvalOptions::validate() const {
  if (seqlen < 0 || seqlen == 1) {
    fail(ErrorKind::kUsage, "seqlen: {} is not 0 (automatic) or at least 2", seqlen);
  }
  if (max_windows < 0) fail(ErrorKind::kUsage, "eval_windows: {} is negative", max_windows);
}

void CompressRun::validate() const {
  model.validate();
  compression.validate();
  eval.validate();
  if (calibration.dataset.empty()) fail(ErrorKind::kUsage, "DATASET is empty");
  if (shard_bytes < 0) fail(ErrorKind::kUsage, "shard_bytes: {} is negative", shard_bytes);
  if (calibration.nsamples < 1) {
    fail(ErrorKind::kUsage, "nsamples: {} is below 1", calibration.nsamples);
  }
  if (compression.tune > 0 && model.broadcast_weights && !model.world.alone()) {
    fail(ErrorKind::kUsage,
         "tune: rank 0 alone tunes, and --mpi_weights broadcast has all ranks read together; leave "
         "it out");
  }
  if (compression.tune > calibration.nsamples) {
    fail(ErrorKind::kUsage, "tune: {} windows are more than the {} of --nsamples", compression.tune,
         calibration.nsamples);
  }
  require_format(*this);
}

void EvalRun::validate() const {
  model.validate();
  eval.validate();
  if (eval.sets.empty()) fail(ErrorKind::kUsage, "eval: no set to score; give --eval SET,SET");
}

}  // namespace sgpt_mi::pipeline
