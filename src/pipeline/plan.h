#pragma once

#include <cstdint>
#include <vector>

#include "session.h"
#include "sgpt_mi/eval/divergence.h"
#include "sgpt_mi/pipeline/events.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/text/calibration.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::pipeline {

/// What a compression starts from once everything is checked. The parts belong to a Workbench.
struct PreparedRun {
  Session& session;
  const text::CalibrationSet& calibration;
  const std::vector<text::EvalSet>& eval_sets;
  std::int64_t selected_linears = 0;
  /// Of the dense model, one a set; null until it is scored.
  const std::vector<eval::FinalStates>* dense_states = nullptr;
};

/// Checks that the options fit the model and returns the number of linears they select.
/// Throws Error(kUsage).
[[nodiscard]] std::int64_t check_run(const CompressRun& run, const Session& session);

/// Tells through events.plan() what will be done, and through events.warning() when it needs more
/// memory than is free.
void tell_plan(const CompressRun& run, const PreparedRun& prepared, Events& events);

/// Bytes that a compression needs at its peak, by what they are for.
struct MemoryPlan {
  std::int64_t activations = 0;    ///< calibration windows between blocks, twice while one runs
  std::int64_t block_weights = 0;  ///< one block in the compute type
  std::int64_t hessians = 0;       ///< H of the sites held at once
  std::int64_t workspace = 0;      ///< factor and float32 copies of the largest linear
  std::int64_t planning = 0;       ///< inputs of all blocks, or a trial's compressed weights
  std::int64_t kept_weights = 0;   ///< compressed weights in memory when nothing is saved
  std::int64_t dense_states = 0;   ///< the dense model's final states on the evaluation sets, host
  [[nodiscard]] std::int64_t total() const {
    return activations + block_weights + hessians + workspace + planning + kept_weights +
           dense_states;
  }
};

[[nodiscard]] MemoryPlan plan_memory(const CompressRun& run, const PreparedRun& prepared);

}  // namespace sgpt_mi::pipeline
