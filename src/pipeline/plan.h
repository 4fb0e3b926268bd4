#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session.h"
#include "sgpt_mi/pipeline/events.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/text/calibration.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::pipeline {

/// What a compression starts from once everything is checked.
struct PreparedRun {
  std::unique_ptr<Session> session;
  text::CalibrationSet calibration;
  std::vector<text::EvalSet> eval_sets;
  std::int64_t selected_linears = 0;
};

/// Opens the model, draws the calibration windows, loads the evaluation texts and checks that the
/// options fit: whatever can fail early, fails here. Then tells the plan through events.plan().
[[nodiscard]] PreparedRun prepare_compress(const CompressRun& run, Events& events);

/// Bytes that a compression needs at its peak, by what they are for.
struct MemoryPlan {
  std::int64_t activations = 0;    ///< calibration windows between blocks, twice while one runs
  std::int64_t block_weights = 0;  ///< one block in the compute type
  std::int64_t hessians = 0;       ///< H of the sites held at once
  std::int64_t workspace = 0;      ///< factor and float32 copies of the largest linear
  std::int64_t kept_weights = 0;   ///< compressed weights in memory when nothing is saved
  [[nodiscard]] std::int64_t total() const {
    return activations + block_weights + hessians + workspace + kept_weights;
  }
};

[[nodiscard]] MemoryPlan plan_memory(const CompressRun& run, const Session& session,
                                     const text::TokenWindows& windows);

}  // namespace sgpt_mi::pipeline
