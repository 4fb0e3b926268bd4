#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sgpt_mi/eval/divergence.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/memory/memory_plan.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/session/session.h"
#include "sgpt_mi/text/calibration.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::pipeline {

/// What a compression starts from once everything is checked. The parts belong to a Workbench.
struct PreparedRun {
  Session& session;
  const text::CalibrationSet& calibration;
  const std::vector<text::EvalSet>& eval_sets;
  std::int64_t selected_linears = 0;
  memory::MemoryPlan memory = {};
  /// Of the dense model, one a set; null until it is scored.
  const std::vector<eval::FinalStates>* dense_states = nullptr;
};

/// What the saved model may take.
struct SizeBudget {
  formats::FixedSize fixed;
  /// Bits a weight that a stored-size target leaves for the selected linears; empty: there is none.
  std::optional<double> stored_bits;
};

/// Throws Error(kUsage) when the target does not even hold the tensors that stay dense.
[[nodiscard]] SizeBudget size_budget(const formats::SavedTypes& types, const model::Model& model,
                                     const compress::CompressionSettings& settings);

/// At most this lies in the journal beside the output: of each weight its value, its code or level
/// and whether it is pruned.
[[nodiscard]] std::int64_t journal_bytes(const Session& session,
                                         const compress::CompressionSettings& settings);

/// Checks that the options fit the model and returns the number of linears they select.
/// Throws Error(kUsage).
[[nodiscard]] std::int64_t check_run(const CompressRun& run, const Session& session);

/// Tells through events.plan() what will be done, and through events.warning() when it needs more
/// memory than is free.
void tell_plan(const CompressRun& run, const PreparedRun& prepared, report::Events& events);

/// The memory of the run within what --max_memory allows, or what is free.
/// Throws Error(kUsage) when even the least plan is more than --max_memory.
[[nodiscard]] memory::MemoryPlan plan_memory(const CompressRun& run, const PreparedRun& prepared);

}  // namespace sgpt_mi::pipeline
