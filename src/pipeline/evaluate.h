#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/eval/divergence.h"
#include "sgpt_mi/pipeline/options.h"
#include "sgpt_mi/ranks/world.h"
#include "sgpt_mi/report/events.h"
#include "sgpt_mi/report/run_report.h"
#include "sgpt_mi/session/session.h"
#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::pipeline {

/// How the texts of a run are found and read, those of its calibration included.
[[nodiscard]] text::DataSettings data_settings(const EvalOptions& options);

/// Loads, tokenizes and cuts all evaluation sets, so that a missing file or a foreign tokenizer
/// shows before the work starts. `tokenizer` may be null when only recorded windows are asked for.
/// Throws Error(kInput) also for ids that the model has no embedding for.
[[nodiscard]] std::vector<text::EvalSet> load_eval_sets(const EvalOptions& options,
                                                        const Session& session,
                                                        const tokenizer::Tokenizer* tokenizer);

/// Throws Error(kInput) when a window holds an id that the model has no embedding for, or is longer
/// than the model's positions. `what` names the text.
void check_windows(const text::TokenWindows& windows, const model::ModelSpec& spec,
                   const std::string& what);

/// Whether a --eval or DATASET argument names recorded windows, which need no tokenizer.
[[nodiscard]] bool is_recorded(const std::string& set);

/// What a report says of a set before it is scored.
[[nodiscard]] report::PerplexityReport describe(const text::EvalSet& set, torch::ScalarType dtype);

/// How the scorings of the dense and of a compressed model on one set are joined. Null: not.
struct StateExchange {
  eval::FinalStates* keep = nullptr;             ///< filled by the scoring of the dense model
  bool keep_head = false;                        ///< and its head, where the other's may differ
  const eval::FinalStates* reference = nullptr;  ///< read by the scoring of a compressed one
  ranks::World world = {};                       ///< who share the windows
};

/// Scores one set; `label` ("dense", "compressed") names the model in events. With a reference the
/// figures have the divergence from the dense model.
[[nodiscard]] report::PerplexityFigures score(model::Model& model, const text::EvalSet& set,
                                              const model::Placement& placement,
                                              const std::string& label, report::Events& events,
                                              const StateExchange& states = {});

/// What a report says of the model.
[[nodiscard]] report::ModelReport describe_model(const Session& session);

/// What is known of a model that is to be scored.
struct Scored {
  bool compressed = false;
  const std::vector<eval::FinalStates>* dense_states = nullptr;  ///< one a set; null: unknown
  ranks::World world = {};
};

/// Scores all sets into the report, and lets go of embedding and head.
void score_sets(report::RunReport& report, const std::vector<text::EvalSet>& sets,
                model::Model& model, const model::Placement& placement, const Scored& scored,
                report::Events& events);

}  // namespace sgpt_mi::pipeline
